//go:build crashtest

package receiver

import "os"

// crashSent is the point at which a command's answer has come and was not taken in; the others are the states of an
// action, each once it is on disk.
const crashSent = "SENT"

// crashPoint stops the process for good at the place named by HYPERVIGIL_CRASH_AT, after it has written the name
// into the file HYPERVIGIL_CRASH_FILE: the test waits for the file and then kills with SIGKILL. A name is the state of
// an action: its records are on disk, and nothing that follows from it was begun (after ISSUED no byte has left). SENT is
// after the answer came and before it is taken in.
func crashPoint(name string) {
	if os.Getenv("HYPERVIGIL_CRASH_AT") != name {
		return
	}
	if err := os.WriteFile(os.Getenv("HYPERVIGIL_CRASH_FILE"), []byte(name), 0o600); err != nil {
		panic(err)
	}
	select {}
}
