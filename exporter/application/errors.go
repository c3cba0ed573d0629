package application

import (
	"errors"
	"net/url"
)

// withoutURL takes off the URL that net/http puts before what went wrong.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
