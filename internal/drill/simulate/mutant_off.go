//go:build !mutate

package simulate

import "errors"

// setMutant says that this program has none.
func setMutant(id string) error {
	if id == "" {
		return nil
	}
	return errors.New("simulate: this program has no mutants; make mutate builds one that has")
}
