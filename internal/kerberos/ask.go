package kerberos

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// ask puts a request to the realm's KDCs in turn, until one answers; each gets an equal share of the time that is left.
// A refusal is an answer, unless the KDC says that it cannot serve now. The error is an *Error.
func (k *kdc) ask(ctx context.Context, realm string, request []byte) ([]byte, *messages.KRBError, error) {
	addresses, err := k.addresses(ctx, realm)
	if err != nil {
		return nil, nil, err
	}
	var first error
	for i, a := range addresses {
		answer, err := k.converse(ctx, a, request, len(addresses)-i)
		if err == nil {
			refused := refusal(answer)
			if refused == nil || refused.ErrorCode != errorcode.KDC_ERR_SVC_UNAVAILABLE {
				return answer, refused, nil
			}
			err = &Error{Cause: Unreachable, err: fmt.Errorf("%s says %s", a, describe(*refused))}
		}
		var silent *Error
		if first == nil || errors.As(err, &silent) && silent.Cause == Silent {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, first
}

// refusal reads a KRB-ERROR; nil where it is none.
func refusal(answer []byte) (e *messages.KRBError) {
	defer func() {
		if recover() != nil {
			e = nil
		}
	}()
	var refused messages.KRBError
	if refused.Unmarshal(answer) != nil {
		return nil
	}
	return &refused
}

// port is where KDCs listen (RFC 4120, section 7.2.1).
const port = "88"

// addresses lists the realm's KDCs: those of krb5.conf, in an order of chance so that load is shared, or else those that
// DNS names (RFC 4120, section 7.2.3.2).
func (k *kdc) addresses(ctx context.Context, realm string) ([]string, error) {
	var list []string
	for _, r := range k.config.Realms {
		if r.Realm == realm {
			list = append(list, r.KDC...)
		}
	}
	if len(list) == 0 {
		records, err := k.names.LookupSRV(ctx, "kerberos", "tcp", realm)
		if err != nil && len(records) == 0 {
			if ctx.Err() != nil {
				return nil, &Error{Cause: Silent, err: fmt.Errorf("the KDCs of %s are not in krb5.conf, and DNS is silent: %w", realm, ctx.Err())}
			}
			return nil, &Error{Cause: Unreachable, err: fmt.Errorf("the KDCs of %s are neither in krb5.conf nor in DNS: %w", realm, err)}
		}
		for _, r := range records {
			list = append(list, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
		return list, nil // in the order of priority and weight already
	}
	for i, a := range list {
		if _, _, err := net.SplitHostPort(a); err != nil {
			list[i] = net.JoinHostPort(strings.Trim(a, "[]"), port)
		}
	}
	for i := len(list) - 1; i > 0; i-- {
		j, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			break
		}
		list[i], list[j.Int64()] = list[j.Int64()], list[i]
	}
	return list, nil
}

// converse sends one request to one KDC and reads the answer, each with its length before it (RFC 4120, section 7.2.2).
func (k *kdc) converse(ctx context.Context, address string, request []byte, left int) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	t := k.names.NewTracker()
	defer t.Watch(ctx)()
	defer t.CloseAll()
	answer, err := exchange(ctx, t, address, request)
	if err == nil {
		return answer, nil
	}
	var malformed *Error
	if errors.As(err, &malformed) {
		return nil, err
	}
	switch dial.Classify(ctx, t, err) {
	case dial.TCPTimeout, dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout:
		return nil, &Error{Cause: Silent, err: fmt.Errorf("%s does not answer in time", address)}
	case dial.Other:
		if ctx.Err() != nil {
			return nil, &Error{Cause: Silent, err: ctx.Err()}
		}
	}
	return nil, &Error{Cause: Unreachable, err: err}
}

// exchange is converse without judgement of what went wrong.
func exchange(ctx context.Context, t *dial.Tracker, address string, request []byte) ([]byte, error) {
	c, err := t.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	t.Enter(dial.PhaseQuery)
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(request)), uint32(len(request)))
	if _, err := c.Write(append(b, request...)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxAnswer {
		return nil, &Error{Cause: Malformed, err: fmt.Errorf("%s answers with %d bytes, at most %d are read", address, size, maxAnswer)}
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(c, answer); err != nil {
		return nil, err
	}
	return answer, nil
}
