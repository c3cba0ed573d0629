//go:build !unix

package main

import "time"

// processorTime is unknown: this system is not asked.
func processorTime() time.Duration { return 0 }
