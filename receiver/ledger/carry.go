package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// bare is how a value stands in a file of schema 1: as it was put in, with nothing that tells whether it still is.
func bare(key, value []byte) ([]byte, error) {
	if value == nil {
		return nil, fmt.Errorf("record %q is damaged (it is no value): %s", key, wayOut)
	}
	return value, nil
}

// errChanged says that sealing has changed what it must only have sealed.
var errChanged = errors.New("records that were sealed are not those that were read")

// carry brings a file of schema 1 to the present schema: every record is read and sealed, and all of that is one
// transaction. A crash before its end, a full disk or a record that accept does not take leave the file as it was; a crash
// after it finds the file sealed.
//
// A seal only says that a record is what it was when it was sealed. Nothing in schema 1 could tell whether it was what had
// been written, but for what the records themselves show, which is accept's to judge; it is asked before, of what is
// there, and after, of what will be, and both are compared byte for byte.
func (b *Bolt) carry(accept func(Records) error) error {
	tx, err := b.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := sealAll(b.path, tx.Bucket(bucketName), accept); err != nil {
		return fmt.Errorf("it was written by an older receiver (schema %d, this one knows %d), is not carried over, and is left as it was: %w. Run the older receiver with it, %s",
			unsealedSchema, Schema, err, wayOut)
	}
	if err := b.finish(tx); err != nil {
		return fmt.Errorf("carry it over from schema %d to %d: %w; it is wholly the one or wholly the other, and is looked at anew at the next start", unsealedSchema, Schema, err)
	}
	return nil
}

func sealAll(path string, bucket *bolt.Bucket, accept func(Records) error) error {
	old := Records{path, bucket, bare}
	keys, before, err := contents(old)
	if err != nil {
		return err
	}
	if _, err := parseEpoch(bucket.Get([]byte(epochKey))); err != nil {
		return fmt.Errorf("record %q: %w", epochKey, err)
	}
	if err := accept(old); err != nil {
		return err
	}
	for _, key := range keys {
		if err := bucket.Put([]byte(key), sealed([]byte(key), bucket.Get([]byte(key)))); err != nil {
			return fmt.Errorf("seal record %q: %w", key, err)
		}
	}
	if err := bucket.Put([]byte(schemaKey), []byte(strconv.Itoa(Schema))); err != nil {
		return err
	}
	carried := Records{path, bucket, unsealed}
	_, after, err := contents(carried)
	if err != nil {
		return err
	}
	if before != after {
		return errChanged
	}
	return accept(carried)
}

// contents are the keys of all records but the schema's, in their order, and a sum of them with their values.
func contents(r Records) (keys []string, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	put := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	err = r.List(context.Background(), "", func(key string, value []byte) error {
		if key == schemaKey {
			return nil
		}
		keys = append(keys, key)
		put([]byte(key))
		put(value)
		return nil
	})
	return keys, [sha256.Size]byte(h.Sum(nil)), err
}
