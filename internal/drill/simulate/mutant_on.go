//go:build mutate

package simulate

import "github.com/hypervigil/hypervigil/receiver/guard"

// setMutant makes a guard say yes from now on; none where id is empty.
func setMutant(id string) error {
	guard.Mutate(id)
	return nil
}
