package intake

import (
	"context"
	"fmt"
)

// Check reads the records of an intake as its start does, and says what of them it cannot have written.
func Check(ctx context.Context, store Lister) error {
	known, err := load(ctx, store)
	if err != nil {
		return err
	}
	for key, d := range known.byKey {
		if d.Sequence == 0 || d.At.IsZero() {
			return fmt.Errorf("ledger record %s: a delivery without its number or its time", deliveryRecordKey(key))
		}
	}
	_, err = Pending(ctx, store)
	return err
}
