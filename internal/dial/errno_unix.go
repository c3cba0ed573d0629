//go:build !windows

package dial

import "syscall"

// The operating system's errors by what they prove. They are never written to.
var (
	refused     = []syscall.Errno{syscall.ECONNREFUSED}
	unreachable = []syscall.Errno{
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN,
		syscall.EACCES, syscall.EPERM, // a local firewall's word
	}
	gone  = []syscall.Errno{syscall.ETIMEDOUT}
	reset = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
)
