//go:build race

package experiment

// raceDetector says that the tests run with it: everything takes several times as long.
const raceDetector = true
