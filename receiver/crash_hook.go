//go:build crashtest

package receiver

import "os"

// crashPoint stops the process for good at the place named by HYPERVIGIL_CRASH_AT, after it has written the name
// into the file HYPERVIGIL_CRASH_FILE: the test waits for the file and then kills with SIGKILL. "claimed" is after
// CLAIMED is on disk and before the re-validation begins; "issued" is after ISSUED is on disk and before the bytes
// leave; "sent" is after the answer came and before it is taken in.
func crashPoint(name string) {
	if os.Getenv("HYPERVIGIL_CRASH_AT") != name {
		return
	}
	if err := os.WriteFile(os.Getenv("HYPERVIGIL_CRASH_FILE"), []byte(name), 0o600); err != nil {
		panic(err)
	}
	select {}
}
