//go:build race

package proxy

// raceDetector says that memory cannot be measured.
const raceDetector = true
