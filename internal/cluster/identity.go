package cluster

import (
	"encoding/hex"
	"strings"
)

// SameMachineID reports whether two identifiers of a machine are the same, however they are written: a BIOSGUID as
// Hyper-V shows it (braces or not, any case) and a product UUID as SMBIOS in the guest does. SMBIOS stores the first
// three fields little-endian since 2.6 and software has read them both ways (DSP0134, 7.2.1), so that both orders of
// these eight bytes are equal. An identifier that is no UUID, all zeros or all ones names no machine.
func SameMachineID(a, b string) bool {
	x, ok := machineID(a)
	if !ok {
		return false
	}
	y, ok := machineID(b)
	return ok && (x == y || swapped(x) == y)
}

// machineID parses a UUID.
func machineID(s string) (id [16]byte, ok bool) {
	digits := strings.ReplaceAll(guid(s), "-", "")
	if len(digits) != 2*len(id) {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return id, false
	}
	var zeros, ones [16]byte
	for i := range ones {
		ones[i] = 0xFF
	}
	return id, id != zeros && id != ones
}

// swapped turns the bytes of the first three fields around.
func swapped(id [16]byte) [16]byte {
	id[0], id[1], id[2], id[3] = id[3], id[2], id[1], id[0]
	id[4], id[5] = id[5], id[4]
	id[6], id[7] = id[7], id[6]
	return id
}
