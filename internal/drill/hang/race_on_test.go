//go:build race

package hang

// underRace says that the race detector watches.
const underRace = true
