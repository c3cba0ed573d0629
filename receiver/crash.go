//go:build !crashtest

package receiver

// crashSent is the point at which a command's answer has come and was not taken in; the others are the states of an
// action, each once it is on disk.
const crashSent = "SENT"

// crashPoint marks the places where the crash tests stop the process and kill it; in the product it is nothing.
func crashPoint(string) {}
