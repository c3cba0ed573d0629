package wsmanserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Provider is the machine behind the server: its WMI. Namespaces arrive in lower case with slashes
// ("root/virtualization/v2"), classes, methods and property names as the client wrote them; WMI compares all of
// them without regard to case, and so must a Provider.
//
// The context ends at the client's OperationTimeout, when the client hangs up and when the server closes. A
// Provider that is to appear hung waits for it and returns its error: the client then gets the fault TimedOut.
// Errors: the Err values below, a *ProviderError, a *Fault; any other error is a failed provider.
// The server calls concurrently and never changes what it is given.
type Provider interface {
	// Instances returns all instances of a class, its subclasses' among them. Every instance carries all
	// properties of its class, NULL ones included: it is from them that the server knows which names exist.
	Instances(ctx context.Context, namespace, class string) ([]Instance, error)

	// Invoke runs a method: of the class where there are no selectors, else of the instance with these keys,
	// which exists. The server has not checked the method's name, nor its parameters.
	Invoke(ctx context.Context, namespace, class string, selectors Selectors, method string, params Parameters) (Output, error)
}

// What a Provider can say of a request. The server finds the fault that Windows sends for it.
var (
	ErrUnknownNamespace = errors.New("unknown namespace")
	ErrUnknownClass     = errors.New("unknown class")
	ErrUnknownInstance  = errors.New("unknown instance")
	ErrUnknownMethod    = errors.New("unknown method")
	ErrInvalidParameter = errors.New("invalid method parameter")
	ErrAccessDenied     = errors.New("access denied by the provider")
)

// ProviderError is a failure that has a number of Windows' own, such as 0x8007139F where a group is not in the
// state for a move. Message is what the client may show to a person.
type ProviderError struct {
	HRESULT uint32
	Message string
}

// Error names the number first: it is what counts.
func (e *ProviderError) Error() string {
	return fmt.Sprintf("HRESULT 0x%08x: %s", e.HRESULT, e.Message)
}

// Instance is one CIM instance.
type Instance struct {
	// Class is the name of the instance's own class, in its own spelling.
	Class string
	// Keys names the key properties; a singleton has none. Embedded instances need none.
	Keys []string
	// Properties in the order in which they are written. Windows' is alphabetical (captured).
	Properties []Property
}

// Property is a named value: nil (NULL), a string, a bool, an integer or a float of any size, time.Time (the zero
// time is WMI's "never", 1601-01-01), time.Duration (an interval), Instance (embedded), Reference, or a slice of
// one of these. A nil slice is a NULL array, which Windows leaves out of the answer; so is an empty one.
type Property struct {
	Name  string
	Value any
}

// Property returns the value of a property; names are compared without regard to case.
func (i Instance) Property(name string) (value any, ok bool) {
	for _, p := range i.Properties {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return nil, false
}

// Reference points to an instance: an endpoint reference on the wire.
type Reference struct {
	Namespace string // empty: that of the instance that refers
	Class     string
	Keys      Selectors
}

// Selector is one key and its value.
type Selector struct{ Name, Value string }

// Selectors are the keys of an instance, in the order of the client.
type Selectors []Selector

// Value returns the value of a key; names are compared without regard to case.
func (s Selectors) Value(name string) (string, bool) {
	for _, sel := range s {
		if strings.EqualFold(sel.Name, name) {
			return sel.Value, true
		}
	}
	return "", false
}

// Output is what a method gives back.
type Output struct {
	// ReturnValue is nil for a void method, as MSCluster's are.
	ReturnValue any
	// Properties are the output parameters.
	Properties []Property
}

// Parameter is one input parameter: nil (NULL), string, []string, Reference, Instance or []Instance. The wire
// carries no types, so that every scalar is a string; the methods of Parameters convert.
type Parameter struct {
	Name  string
	Value any
}

// Parameters are a method's input, in the order of the client.
type Parameters []Parameter

// Value returns a parameter as it came; ok is false if it is missing. WMI takes a missing parameter as NULL.
func (p Parameters) Value(name string) (value any, ok bool) {
	for _, param := range p {
		if strings.EqualFold(param.Name, name) {
			return param.Value, true
		}
	}
	return nil, false
}

// String returns a scalar; ok is false if it is missing or NULL.
func (p Parameters) String(name string) (s string, ok bool) {
	v, _ := p.Value(name)
	s, ok = v.(string)
	return s, ok
}

// Uint returns an unsigned number of that many bits; ok is false if it is missing or NULL. The error is
// ErrInvalidParameter and names the parameter.
func (p Parameters) Uint(name string, bits int) (n uint64, ok bool, err error) {
	s, ok := p.String(name)
	if !ok {
		return 0, false, p.scalar(name)
	}
	n, err = strconv.ParseUint(strings.TrimSpace(s), 10, bits)
	if err != nil {
		return 0, false, fmt.Errorf("%s is %q, want a number of %d bits: %w", name, s, bits, ErrInvalidParameter)
	}
	return n, true, nil
}

// Bool returns a boolean; ok is false if it is missing or NULL. The error is ErrInvalidParameter.
func (p Parameters) Bool(name string) (b, ok bool, err error) {
	s, ok := p.String(name)
	if !ok {
		return false, false, p.scalar(name)
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		return true, true, nil
	case "false", "0":
		return false, true, nil
	}
	return false, false, fmt.Errorf("%s is %q, want true or false: %w", name, s, ErrInvalidParameter)
}

// Strings returns an array; one element on the wire looks like a scalar. It is nil if the parameter is missing or
// NULL.
func (p Parameters) Strings(name string) []string {
	switch v, _ := p.Value(name); v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	}
	return nil
}

// Bytes returns an array of uint8. The error is ErrInvalidParameter.
func (p Parameters) Bytes(name string) ([]byte, error) {
	texts := p.Strings(name)
	if texts == nil {
		return nil, nil
	}
	out := make([]byte, 0, len(texts))
	for _, s := range texts {
		n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 8)
		if err != nil {
			return nil, fmt.Errorf("%s holds %q, want numbers of 8 bits: %w", name, s, ErrInvalidParameter)
		}
		out = append(out, byte(n))
	}
	return out, nil
}

// scalar refuses a parameter that is there and is no scalar.
func (p Parameters) scalar(name string) error {
	if v, _ := p.Value(name); v != nil {
		return fmt.Errorf("%s is not a single value: %w", name, ErrInvalidParameter)
	}
	return nil
}
