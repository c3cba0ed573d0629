// Package reach asks whether an address takes a TCP connection, and says no word to whoever took it. It tells the network
// and the listener apart from what stands behind them: a dead guest answers nothing, a dead service refuses.
//
//	took, err := reach.TCP(names)(ctx, "sql01.corp.example:1433")
//	state := reach.State(err)
package reach

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// Dialer connects to an address and hangs up. The error has a Reason.
type Dialer func(ctx context.Context, address string) (took time.Duration, err error)

// TCP returns a Dialer that connects to host:port and hangs up. names remembers what names resolved to; nil remembers
// nothing.
func TCP(names *dial.Names) Dialer {
	return func(ctx context.Context, address string) (time.Duration, error) {
		t := names.NewTracker()
		defer t.CloseAll()
		start := time.Now()
		_, err := t.DialContext(ctx, "tcp", address)
		took := time.Since(start)
		if err != nil {
			return took, &probe.Error{Why: dial.Classify(ctx, t, err), Err: fmt.Errorf("connect to %s: %w", address, err)}
		}
		return took, nil
	}
}

// States are the states that State returns, for a state set.
var States = []string{"connected", "refused", "timeout", "unreachable", probe.Other}

// State is what a connection came to; ok is false where that says nothing about the peer, such as a name that is not
// known.
func State(err error) (state string, ok bool) {
	var known interface{ Reason() dial.Reason }
	switch {
	case err == nil:
		return "connected", true
	case !errors.As(err, &known):
		return "", false
	}
	switch known.Reason() {
	case dial.Answered:
		return "connected", true
	case dial.Refused:
		return "refused", true
	case dial.TCPTimeout:
		return "timeout", true
	case dial.Unreachable:
		return "unreachable", true
	case dial.DNS, dial.TLS, dial.TLSTimeout, dial.LoginTimeout, dial.Auth, dial.Permission, dial.QueryTimeout, dial.Namespace, dial.ProviderHung, dial.Protocol, dial.Other:
		return "", false
	}
	return "", false
}
