package hang

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// left is what is under way because of the peers, or was not given back.
type left struct {
	goroutines int // of the exporter, its clients and their drivers
	sockets    int // of this process to a peer, whatever their state
	heap       uint64
}

func (l left) String() string {
	return fmt.Sprintf("%d goroutines, %d connections, %d bytes of heap", l.goroutines, l.sockets, l.heap)
}

// working are the functions by which a goroutine that works for a probe is known.
var working = []string{ //nolint:gochecknoglobals // never written
	"/exporter.(*Exporter).", "/internal/sqlhealth.", "/internal/wsman.", "/internal/dial.", "go-mssqldb.",
}

// count counts what there is now. It collects garbage first.
func (p peers) count() (left, error) {
	var l left
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held until the first
	runtime.ReadMemStats(&m)
	l.heap = m.HeapAlloc
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, f := range working {
			if strings.Contains(stack, f) {
				l.goroutines++
				break
			}
		}
	}
	var err error
	l.sockets, err = p.sockets()
	return l, err
}

// sockets counts the connections whose other end is a peer and that a process still holds. Linux lists them with the
// port of the other end in hexadecimal (proc_pid_net(5)); those without a file, such as in TIME-WAIT, have the inode 0.
func (p peers) sockets() (int, error) {
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return 0, err
	}
	numbers := map[int64]bool{}
	for _, one := range p {
		numbers[int64(one.number())] = true
	}
	n := 0
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[9] == "0" {
			continue
		}
		_, port, _ := strings.Cut(f[2], ":")
		if number, err := strconv.ParseInt(port, 16, 32); err == nil && numbers[number] {
			n++
		}
	}
	return n, nil
}
