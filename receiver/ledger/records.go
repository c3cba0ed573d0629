package ledger

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Records are the records of one file at one moment: those of one transaction, and of no use after it.
type Records struct {
	path   string
	bucket *bolt.Bucket
	open   opener
}

// List calls fn for each key with the prefix, as Store.List does.
func (r Records) List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error {
	// Only bbolt's own steps are guarded: what fn does is its own.
	var key, value []byte
	cursor := r.bucket.Cursor()
	step := func() error { key, value = cursor.Seek([]byte(prefix)); return nil }
	for {
		if err := guarded(step); err != nil {
			return fmt.Errorf("list ledger %s: %w", r.path, err)
		}
		if key == nil || !bytes.HasPrefix(key, []byte(prefix)) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list ledger %s: %w", r.path, err)
		}
		plain, err := r.open(key, value)
		if err != nil {
			return fmt.Errorf("list ledger %s: %w", r.path, err)
		}
		if err := fn(string(key), plain); err != nil {
			return err
		}
		step = func() error { key, value = cursor.Next(); return nil }
	}
}
