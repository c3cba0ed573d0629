package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// sealSize is how many bytes of a value in the file are its seal.
const sealSize = 4

// errBroken says that a record is not what was written.
var errBroken = errors.New("its checksum does not fit")

// opener is how a value stands in the file: what of it was put in.
type opener func(key, value []byte) ([]byte, error)

// sum is CRC-32C over a key, a zero byte, which no key has, and a value.
func sum(key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, by the package
	return crc32.Update(crc32.Update(crc32.Checksum(key, table), table, []byte{0}), table, value)
}

// sealed is a value as it stands in the file: behind a checksum of its key and itself. bbolt has one of its meta pages and
// none of what is in the others, so that a disk that loses a bit would make another decision of a record without a word.
func sealed(key, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, sealSize+len(value)), sum(key, value)), value...)
}

// unsealed is the value that was sealed. The schema is not: it says whether the others are.
func unsealed(key, value []byte) ([]byte, error) {
	if string(key) == schemaKey {
		return value, nil
	}
	if len(value) < sealSize || binary.BigEndian.Uint32(value) != sum(key, value[sealSize:]) {
		return nil, fmt.Errorf("record %q is damaged (%w): %s", key, errBroken, wayOut)
	}
	return value[sealSize:], nil
}
