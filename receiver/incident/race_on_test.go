//go:build race

package incident_test

// raceDetector says that the tests run with it: everything takes several times as long.
const raceDetector = true
