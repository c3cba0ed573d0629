package intake

import (
	"fmt"
	"net/http"
)

// result is how a request ended.
type result int

const (
	accepted result = iota
	duplicate
	malformed
	unauthorized
	notFound
	notAllowed
	tooLarge
	encoded
	unavailable
	panicked
)

func results() []result {
	return []result{accepted, duplicate, malformed, unauthorized, notFound, notAllowed, tooLarge, encoded, unavailable, panicked}
}

// String is the result's label.
func (r result) String() string {
	switch r {
	case accepted:
		return "accepted"
	case duplicate:
		return "duplicate"
	case malformed:
		return "malformed"
	case unauthorized:
		return "unauthorized"
	case notFound:
		return "not_found"
	case notAllowed:
		return "method_not_allowed"
	case tooLarge:
		return "too_large"
	case encoded:
		return "encoded"
	case unavailable:
		return "unavailable"
	case panicked:
		return "panic"
	}
	return fmt.Sprintf("result(%d)", int(r))
}

// code is the answer's status. One that does not exist is the receiver's own fault.
func (r result) code() int {
	switch r {
	case accepted, duplicate:
		return http.StatusAccepted
	case malformed:
		return http.StatusBadRequest
	case unauthorized:
		return http.StatusUnauthorized
	case notFound:
		return http.StatusNotFound
	case notAllowed:
		return http.StatusMethodNotAllowed
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case encoded:
		return http.StatusUnsupportedMediaType
	case unavailable, panicked:
		return http.StatusServiceUnavailable
	}
	return http.StatusServiceUnavailable
}
