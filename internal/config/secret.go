package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// hidden is what a Secret shows of itself.
const hidden = "<secret>"

// Secret is a password or a token. It prints as <secret> through every formatter, logger and marshaller; Reveal is the
// only way to its value. The value sits in a closure, so that not even printing a struct that has a Secret in an
// unexported field shows it. The zero Secret is empty.
type Secret struct{ reveal func() string }

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)

// NewSecret returns a Secret that holds s.
func NewSecret(s string) Secret { return Secret{reveal: func() string { return s }} }

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsEmpty reports whether there is no value.
func (s Secret) IsEmpty() bool { return s.Reveal() == "" }

func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// Format implements fmt.Formatter: every verb prints the same.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalYAML implements yaml.Marshaler.
func (Secret) MarshalYAML() (any, error) { return hidden, nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Password reads the credential's password from its file or environment variable, anew at every call. One line end at
// the end of the file does not belong to it. The error names the credential and the source, never the content.
func (c *Credential) Password() (Secret, error) {
	s, err := resolve(c.PasswordFile, c.PasswordEnv)
	if err != nil {
		return Secret{}, fmt.Errorf("password of the credential %q: %w", c.Name, err)
	}
	return s, nil
}

// Token reads the bearer token that Alertmanager has to show. The Secret is empty where none is configured.
func (w *Webhook) Token() (Secret, error) {
	if w.TokenFile == "" && w.TokenEnv == "" {
		return Secret{}, nil
	}
	s, err := resolve(w.TokenFile, w.TokenEnv)
	if err != nil {
		return Secret{}, fmt.Errorf("token of the webhook: %w", err)
	}
	return s, nil
}

// Token reads the token with which the person approves. The Secret is empty where none is configured.
func (a *Approver) Token() (Secret, error) {
	if a.TokenFile == "" && a.TokenEnv == "" {
		return Secret{}, nil
	}
	s, err := resolve(a.TokenFile, a.TokenEnv)
	if err != nil {
		return Secret{}, fmt.Errorf("token of the approver %q: %w", a.Name, err)
	}
	return s, nil
}

// maxSecret bounds a secret's file: a path that names something else by mistake is refused, not read.
const maxSecret = 64 << 10

func resolve(file, env string) (Secret, error) {
	switch {
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return Secret{}, err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return Secret{}, err
		}
		if len(data) > maxSecret {
			return Secret{}, fmt.Errorf("%s is longer than %d bytes; it should hold the secret alone", file, maxSecret)
		}
		s := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if s == "" {
			return Secret{}, fmt.Errorf("%s is empty", file)
		}
		return NewSecret(s), nil
	case env != "":
		s := os.Getenv(env)
		if s == "" {
			return Secret{}, fmt.Errorf("the environment variable %s is empty or not set", env)
		}
		return NewSecret(s), nil
	}
	return Secret{}, fmt.Errorf("neither password_file nor password_env is given")
}
