//go:build !unix

package wsman

import "github.com/hypervigil/hypervigil/internal/dial"

// peek cannot look at an idle connection here without reading from it.
func peek(*dial.Conn) (known, quiet bool) { return false, false }
