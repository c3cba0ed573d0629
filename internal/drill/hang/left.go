package hang

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// left is what is under way because of the peers, or was not given back.
type left struct {
	goroutines map[string]int // of the exporter, its clients and their drivers, by the functions that they are in
	tickets    int            // goroutines that fetch tickets
	sockets    map[string]int // of this process to a peer, whatever their state, by the peer
	heap       uint64
}

// none says that nothing works for a probe.
func (l left) none() bool { return len(l.goroutines) == 0 && len(l.sockets) == 0 }

// String tells where it is: that is what the next person has to know.
func (l left) String() string {
	return fmt.Sprintf("%d goroutines%s, %d that fetch tickets, %d connections%s, %d bytes of heap",
		sum(l.goroutines), listed(l.goroutines), l.tickets, sum(l.sockets), listed(l.sockets), l.heap)
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func listed(counts map[string]int) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %d × %s", counts[what], what)
	}
	if b.Len() == 0 {
		return ""
	}
	return " (" + b.String()[2:] + ")"
}

// working are the functions by which a goroutine that works for a probe is known.
var working = []string{ //nolint:gochecknoglobals // never written
	"/exporter.(*Exporter).", "/internal/sqlhealth.", "/internal/wsman.", "/internal/dial.", "go-mssqldb.",
}

// fetching is the same for one that fetches tickets: no probe waits for it beyond its deadline, and it goes on for the next.
const fetching = "/internal/kerberos."

// count counts what there is now. It collects garbage first.
func (p peers) count() (left, error) {
	l := left{goroutines: map[string]int{}}
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
		if where := functions(stack); slices.ContainsFunc(working, func(f string) bool { return strings.Contains(stack, f) }) {
			l.goroutines[where]++
		} else if strings.Contains(stack, fetching) {
			l.tickets++
		}
	}
	var err error
	l.sockets, err = p.sockets()
	return l, err
}

// functions are those that a goroutine is in, the innermost first, without arguments and places.
func functions(stack string) string {
	var names []string
	for line := range strings.Lines(stack) {
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "goroutine ") {
			continue
		}
		name := strings.TrimSpace(line)
		if i := strings.LastIndex(name, "("); i > 0 && strings.HasSuffix(name, ")") {
			name = name[:i]
		}
		names = append(names, name[strings.LastIndex(name, "/")+1:])
	}
	return strings.Join(names, " < ")
}

// sockets counts the connections whose other end is a peer and that a process still holds. Linux lists them with the
// port of the other end in hexadecimal (proc_pid_net(5)); those without a file, such as in TIME-WAIT, have the inode 0.
func (p peers) sockets() (map[string]int, error) {
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, one := range p {
		names[int64(one.number())] = one.kind.machine(one.way)
	}
	counts := map[string]int{}
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[9] == "0" {
			continue
		}
		_, port, _ := strings.Cut(f[2], ":")
		if number, err := strconv.ParseInt(port, 16, 32); err == nil && names[number] != "" {
			counts[names[number]]++
		}
	}
	return counts, nil
}
