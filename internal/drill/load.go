package drill

import (
	"os"
	"strconv"
	"strings"
)

// Load is the machine's load average over the last minute, as Linux tells it (proc_loadavg(5)); 0 where it is not told.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}
