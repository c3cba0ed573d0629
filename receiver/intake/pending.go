package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// Pending returns the notifications that were accepted and not taken up before the receiver ended, oldest first,
// each with its Record. An error may come together with notifications: it names the records that cannot be read,
// and the others are all there.
func Pending(ctx context.Context, store Lister) ([]Notification, error) {
	var pending []Notification
	var unreadable []error
	err := store.List(ctx, ledger.Prefix("intake"), func(key string, value []byte) error {
		var n Notification
		_, err := parseSequence(key)
		if err == nil {
			err = json.Unmarshal(value, &n)
		}
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("notification %s in the ledger cannot be read: %w", key, err))
			return nil
		}
		n.Record = key
		pending = append(pending, n)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the notifications in the ledger: %w", err)
	}
	return pending, errors.Join(unreadable...)
}
