package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// DefaultLockTimeout is how long OpenBolt waits for the file's lock: a receiver that is being replaced has a moment
// to end.
const DefaultLockTimeout = time.Second

// mapSize is the address space reserved for the file: up to this size the file grows without waiting for readers.
const mapSize = 64 << 20

// bucketName holds every key, under its full name.
var bucketName = []byte("hypervigil")

// Options are the choices of OpenBolt. The zero value opens ledgers of the present schema.
type Options struct {
	// LockTimeout bounds the wait for the file's lock. 0 means DefaultLockTimeout.
	LockTimeout time.Duration
	// Carry judges the records of a ledger of schema 1, whose records have no seal, as it is carried over to the present
	// schema: once as they are, and once more as they would be, before anything of that is kept. An error leaves the file
	// as it was, which is refused then. Where Carry is nil, so is every ledger of another schema.
	Carry func(Records) error
}

// Bolt is a Store in one bbolt file. Every commit is synced before Commit returns. A commit that has begun is not
// broken off by its context.
type Bolt struct {
	path string
	db   *bolt.DB
	// commit ends a transaction; tests replace it to fail where disks do.
	commit func(*bolt.Tx) error
	// broken is set once the disk left it open whether a commit is there. From then on nothing that the file
	// shows can be trusted to be on the disk: after a failed sync the kernel forgets what it could not write,
	// but goes on showing it (fsyncgate, https://wiki.postgresql.org/wiki/Fsync_Errors).
	broken atomic.Pointer[error]
}

var _ Store = (*Bolt)(nil)

// OpenBolt opens the ledger in the file at path, which it makes where there is none, readable for its owner only.
// It holds the file's lock until Close. The errors name the file and say what to do.
func OpenBolt(path string, o Options) (*Bolt, error) {
	if o.LockTimeout < 0 {
		return nil, fmt.Errorf("open ledger %s: the time-out for its lock is %s, not positive", path, o.LockTimeout)
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = DefaultLockTimeout
	}
	if err := checkPath(path); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	b := &Bolt{path: path, commit: (*bolt.Tx).Commit}
	if err := checkMeta(path); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	// bbolt answers a damaged page with a panic. The process that could not open its ledger ends, so that the
	// descriptor it leaves behind does no harm.
	if err := guarded(func() error { return b.open(o) }); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	return b, nil
}

// checkPath says what is wrong with a path in words that the operating system does not have.
func checkPath(path string) error {
	if path == "" {
		return errors.New("no path is given")
	}
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("directory %s does not exist: create it, owned by the receiver's user", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file; give the path of a file, not of a directory or device")
	}
	return nil
}

// open opens, checks and, where it is new, prepares the file.
func (b *Bolt) open(o Options) error {
	var err error
	options := &bolt.Options{Timeout: o.LockTimeout, FreelistType: bolt.FreelistMapType}
	if runtime.GOOS != "windows" { // there the file itself would get this size
		options.InitialMmapSize = mapSize
	}
	b.db, err = bolt.Open(b.path, 0o600, options)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("its lock was not free for %s: another receiver may hold it; stop that one or give this one a path of its own", o.LockTimeout)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the file and its directory must be writable for the receiver's user", err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return fmt.Errorf("the file is no ledger or is damaged (%w): if it belongs to something else, choose another path; otherwise restore a copy, or move it away and start with a new one", err)
	case err != nil:
		return err
	}
	if err := b.prepare(o.Carry); err != nil {
		return errors.Join(err, b.db.Close())
	}
	return nil
}

// prepare writes the schema into a new file; it checks the schema and the consistency of an old one, and carries one of
// schema 1 over.
func (b *Bolt) prepare(accept func(Records) error) error {
	made, schema := false, Schema
	err := b.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketName)
		if bucket != nil {
			var err error
			schema, err = readSchema(bucket.Get([]byte(schemaKey)), accept != nil)
			return err
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("the file belongs to another program (it has a bucket %q): choose another path", name)
		}
		made = true
		bucket, err := tx.CreateBucket(bucketName)
		if err != nil {
			return err
		}
		return bucket.Put([]byte(schemaKey), []byte(strconv.Itoa(Schema)))
	})
	if err != nil {
		return err
	}
	if made {
		// Without it a crash of the machine may take the whole file away: its name is in the directory.
		if err := syncDir(filepath.Dir(b.path)); err != nil {
			return fmt.Errorf("sync its directory: %w", err)
		}
		return nil
	}
	if schema == unsealedSchema {
		if err := b.db.View(func(tx *bolt.Tx) error { return consistent(tx, bare) }); err != nil {
			return err
		}
		if err := b.carry(accept); err != nil {
			return err
		}
	}
	return b.db.View(func(tx *bolt.Tx) error { return consistent(tx, unsealed) })
}

// readSchema says which schema a file has that may be opened: the present one, or, where it can be carried over, the one
// before the seals.
func readSchema(value []byte, carries bool) (int, error) {
	schema, err := strconv.Atoi(string(value))
	switch {
	case err != nil:
		return 0, fmt.Errorf("the file is damaged (record %q is %q, which is no number): %s", schemaKey, value, wayOut)
	case schema > Schema:
		return 0, fmt.Errorf("it was written by a newer receiver (schema %d, this one knows %d): run that version, or move the file away and start with a new one", schema, Schema)
	case schema == Schema, schema == unsealedSchema && carries:
		return schema, nil
	case schema == unsealedSchema:
		return 0, fmt.Errorf("it was written by an older receiver (schema %d, this one knows %d): start hypervigil-receiver with it, which carries it over", schema, Schema)
	}
	return 0, fmt.Errorf("the file is damaged (record %q is %d, which no receiver has written): %s", schemaKey, schema, wayOut)
}

// Commit implements Store.
func (b *Bolt) Commit(ctx context.Context, epoch uint64, batch []Op) error {
	if err := Validate(batch); err != nil {
		return err
	}
	tx, err := b.begin(ctx, true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := ctx.Err(); err != nil {    // the lock may have been long in coming
		return fmt.Errorf("commit to ledger %s: %w", b.path, err)
	}
	bucket := tx.Bucket(bucketName)
	newest, err := storedEpoch(bucket)
	if err != nil {
		return fmt.Errorf("commit to ledger %s: %w", b.path, err)
	}
	if epoch < newest {
		return fmt.Errorf("%w: %d is older than %d", ErrFenced, epoch, newest)
	}
	raised := epoch > newest
	conflict := boltConflict(bucket, batch)
	if conflict != nil {
		batch = nil
	}
	if !raised && len(batch) == 0 {
		return conflict
	}
	if raised {
		// Even of a batch that fails: an epoch once seen fences off the older ones.
		if err := bucket.Put([]byte(epochKey), sealed([]byte(epochKey), strconv.AppendUint(nil, epoch, 10))); err != nil {
			return fmt.Errorf("commit to ledger %s: %w", b.path, err)
		}
	}
	for _, op := range batch {
		if op.Value == nil {
			err = bucket.Delete([]byte(op.Key))
		} else {
			err = bucket.Put([]byte(op.Key), sealed([]byte(op.Key), op.Value))
		}
		if err != nil {
			return fmt.Errorf("write %q to ledger %s: %w", op.Key, b.path, err)
		}
	}
	if err := b.finish(tx); err != nil {
		return err
	}
	return conflict
}

func boltConflict(bucket *bolt.Bucket, batch []Op) error {
	for _, op := range batch {
		if !op.IfAbsent {
			continue
		}
		if key, _ := bucket.Cursor().Seek([]byte(op.Key)); string(key) == op.Key {
			return fmt.Errorf("%w: %q exists", ErrConflict, op.Key)
		}
	}
	return nil
}

// storedEpoch is the newest epoch that the file has seen; 0 where there is none yet.
func storedEpoch(bucket *bolt.Bucket) (uint64, error) {
	value := bucket.Get([]byte(epochKey))
	if value == nil {
		return 0, nil
	}
	value, err := unsealed([]byte(epochKey), value)
	if err != nil {
		return 0, err
	}
	return parseEpoch(value)
}

func parseEpoch(value []byte) (uint64, error) {
	if value == nil {
		return 0, nil
	}
	epoch, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("its epoch %q is no number", value)
	}
	return epoch, nil
}

// finish commits and, if that fails, finds out what is left. bbolt writes the pages and syncs them, then the meta
// page and syncs that. As long as the newest meta page is an older transaction's, nothing of this one counts, and
// its pages are free for the next. Once it is this one's, only the disk knows.
func (b *Bolt) finish(tx *bolt.Tx) error {
	id := tx.ID()
	failure := b.commit(tx)
	if failure == nil {
		return nil
	}
	_ = tx.Rollback()
	failure = fmt.Errorf("commit to ledger %s: %w", b.path, failure)
	read, err := b.db.Begin(false)
	if err == nil {
		defer func() { _ = read.Rollback() }()
		if read.ID() < id {
			return failure
		}
	}
	b.broken.Store(&failure)
	return &UnknownError{Err: failure}
}

// begin starts a transaction where the store may still be used.
func (b *Bolt) begin(ctx context.Context, writable bool) (*bolt.Tx, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("use ledger %s: %w", b.path, err)
	}
	tx, err := b.db.Begin(writable)
	switch {
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return nil, fmt.Errorf("%w: %s", ErrClosed, b.path)
	case err != nil:
		return nil, fmt.Errorf("use ledger %s: %w", b.path, err)
	}
	if cause := b.broken.Load(); cause != nil {
		_ = tx.Rollback()
		return nil, fmt.Errorf("use ledger %s: nothing is read or written since an earlier commit may be lost (%w): see that the disk is well, then restart the receiver", b.path, *cause)
	}
	return tx, nil
}

// List implements Store.
func (b *Bolt) List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error {
	tx, err := b.begin(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return Records{b.path, tx.Bucket(bucketName), unsealed}.List(ctx, prefix, fn)
}

// Close implements Store. It releases the file's lock.
func (b *Bolt) Close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close ledger %s: %w", b.path, err)
	}
	return nil
}
