package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// What of bbolt's format has to be known to see that the end of a file is missing (go.etcd.io/bbolt,
// internal/common/page.go and meta.go): a page's header has 16 bytes; then a meta page has magic, version, page size and
// flags of 4 bytes each, the root bucket of 16, the freelist's page, the number of pages in use and the transaction of 8
// each, and the FNV-1a sum of all of these. The first two pages are meta pages.
const (
	pageHeader = 16
	metaSum    = 56 // from the meta's beginning
	metaSize   = metaSum + 8
	metaMagic  = 0xED0CDAED
	leastPage  = 512
	mostPage   = 64 << 10
)

const wayOut = "restore a copy, or move it away for examination and start with a new one"

// checkLength refuses a file that ends before its pages do. bbolt maps the file, and would be ended by a signal where it
// reads what is not there. A file whose meta pages say nothing is left to bbolt, which refuses it.
func checkLength(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for size := int64(leastPage); size <= mostPage; size *= 2 {
		for _, at := range []int64{0, size} {
			meta := make([]byte, metaSize)
			if _, err := io.ReadFull(io.NewSectionReader(f, at+pageHeader, metaSize), meta); err != nil {
				continue // shorter than this; the other meta page tells, or bbolt does
			}
			sum := fnv.New64a()
			sum.Write(meta[:metaSum])
			if binary.NativeEndian.Uint32(meta) != metaMagic || int64(binary.NativeEndian.Uint32(meta[8:])) != size || binary.NativeEndian.Uint64(meta[metaSum:]) != sum.Sum64() {
				continue
			}
			pages := binary.NativeEndian.Uint64(meta[40:])
			if pages > uint64(info.Size()/size) { //nolint:gosec // a size is not negative
				return fmt.Errorf("the file is damaged (%d bytes are left of %d pages of %d bytes): %s", info.Size(), pages, size, wayOut)
			}
		}
	}
	return nil
}

// guarded calls fn where a damaged page makes bbolt panic, or read outside its memory, and returns that as an error.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged (%v): %s", p, wayOut)
		}
	}()
	return fn()
}

// walk reads every key and value once and checks each by its seal. A page which leads nowhere is met here, too, where it
// does no harm, and not in bbolt's own check, which runs in a goroutine of its own.
func walk(tx *bolt.Tx) error {
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if b == nil {
			return fmt.Errorf("the file is damaged (%q is no bucket): %s", name, wayOut)
		}
		return b.ForEach(func(key, value []byte) error {
			_, err := unsealed(key, value)
			return err
		})
	})
}
