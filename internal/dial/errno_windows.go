package dial

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// The operating system's errors by what they prove. Windows' sockets return their own numbers, which are not those
// of package syscall's names. They are never written to.
var (
	refused     = []syscall.Errno{windows.WSAECONNREFUSED}
	unreachable = []syscall.Errno{
		windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN,
		windows.WSAEACCES, // a local firewall's word
	}
	gone  = []syscall.Errno{windows.WSAETIMEDOUT}
	reset = []syscall.Errno{windows.WSAECONNRESET, windows.WSAECONNABORTED, windows.WSAENETRESET}
)
