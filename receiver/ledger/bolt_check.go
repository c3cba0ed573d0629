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

// checkMeta refuses a file that ends before its pages do, and one of whose meta pages is damaged. bbolt maps the file, and
// would be ended by a signal where it reads what is not there. Of two meta pages it takes the newest that is whole: where
// that is not the newest one, the commit that this stands for is gone without a word, and a command that it says was issued
// would be sent again. A commit that a crash cut short has not begun to write its meta page, or has written it: what counts of
// it lies in one sector. A file of which neither meta page says anything is left to bbolt, which refuses it.
func checkMeta(path string) error {
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
		whole := 0
		for _, at := range []int64{0, size} {
			pages, ok := readMeta(f, at, size)
			if !ok {
				continue
			}
			whole++
			if pages > uint64(info.Size()/size) { //nolint:gosec // a size is not negative
				return fmt.Errorf("the file is damaged (%d bytes are left of %d pages of %d bytes): %s", info.Size(), pages, size, wayOut)
			}
		}
		if whole == 1 {
			return fmt.Errorf("the file is damaged (one of its two meta pages is not whole: the newest commit may be missing): %s", wayOut)
		}
	}
	return nil
}

// readMeta reads the number of pages in use from the meta page of a file with that size of pages; ok is false where it is
// none, or not whole.
func readMeta(f io.ReaderAt, at, size int64) (pages uint64, ok bool) {
	meta := make([]byte, metaSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, at+pageHeader, metaSize), meta); err != nil {
		return 0, false
	}
	sum := fnv.New64a()
	sum.Write(meta[:metaSum])
	ok = binary.NativeEndian.Uint32(meta) == metaMagic && int64(binary.NativeEndian.Uint32(meta[8:])) == size && binary.NativeEndian.Uint64(meta[metaSum:]) == sum.Sum64()
	return binary.NativeEndian.Uint64(meta[40:]), ok
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

// consistent checks a file's pages and reads each of its records.
func consistent(tx *bolt.Tx, open opener) error {
	if err := walk(tx, open); err != nil {
		return err
	}
	var first error
	for err := range tx.Check() { // read to its end: the checker would wait for ever
		if first == nil {
			first = fmt.Errorf("the file is damaged (%w): restore a copy, or move it away and start with a new one", err)
		}
	}
	return first
}

// walk reads every key and value once and opens each. A page which leads nowhere is met here, too, where it does no harm,
// and not in bbolt's own check, which runs in a goroutine of its own.
func walk(tx *bolt.Tx, open opener) error {
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if b == nil {
			return fmt.Errorf("the file is damaged (%q is no bucket): %s", name, wayOut)
		}
		return b.ForEach(func(key, value []byte) error {
			_, err := open(key, value)
			return err
		})
	})
}
