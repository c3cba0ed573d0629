package kerberos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// newTicket is what came of a KDC's answer.
func newTicket(t messages.Ticket, d messages.EncKDCRepPart) ticket {
	begin := d.StartTime
	if begin.IsZero() {
		begin = d.AuthTime
	}
	return ticket{ticket: t, key: d.Key, begin: begin, end: d.EndTime, present: true}
}

// service gets the ticket for a service: TGS exchange (RFC 4120, section 3.3), following the way to another realm (RFC
// 6806, section 8).
func (k *kdc) service(ctx context.Context, g ticket, spn string) (ticket, error) {
	name := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, spn)
	for range maxReferrals {
		t, next, err := k.granting(ctx, g, name)
		if err != nil {
			return ticket{}, named(err, spn)
		}
		if next == "" {
			return t, nil
		}
		g, g.realm = t, next
	}
	return ticket{}, &Error{Cause: Malformed, Service: spn, err: fmt.Errorf("more than %d realms on the way", maxReferrals)}
}

// granting asks one realm's KDC. next is the realm to ask with the ticket that came, empty where it is the service's.
func (k *kdc) granting(ctx context.Context, g ticket, name types.PrincipalName) (t ticket, next string, err error) {
	cfg := *k.config
	cfg.LibDefaults.Canonicalize = true // without it a KDC of Windows refers nobody (MS-KILE 3.3.5.7)
	req, err := messages.NewTGSReq(k.principal, g.realm, &cfg, g.ticket, g.key, name, false)
	if err != nil {
		return ticket{}, "", &Error{Cause: Malformed, err: errors.New("no request can be made with the ticket of the realm " + g.realm)}
	}
	b, err := req.Marshal()
	if err != nil {
		return ticket{}, "", &Error{Cause: Malformed, err: err}
	}
	answer, refused, err := k.ask(ctx, g.realm, b)
	if err != nil {
		return ticket{}, "", err
	}
	if refused != nil {
		e := &Error{Cause: causeOf(refused.ErrorCode), err: fmt.Errorf("the KDC says %s", describe(*refused))}
		if e.Cause != Expired {
			e.Service = name.PrincipalNameString()
		}
		return ticket{}, "", e
	}
	return k.ticketed(g, req, answer)
}

// ticketed reads the answer and checks that it is one to our request (RFC 4120, section 3.3.4).
func (k *kdc) ticketed(g ticket, req messages.TGSReq, answer []byte) (t ticket, next string, err error) {
	defer recoverAs(&err, "the KDC's answer")
	var rep messages.TGSRep
	if err := rep.Unmarshal(answer); err != nil {
		return ticket{}, "", unreadable()
	}
	if err := rep.DecryptEncPart(g.key); err != nil {
		return ticket{}, "", &Error{Cause: Malformed, err: errors.New("the KDC's answer does not open with the key of our session")}
	}
	d := rep.DecryptedEncPart
	if d.Nonce != req.ReqBody.Nonce || d.SRealm != g.realm || !rep.CName.Equal(req.ReqBody.CName) || len(d.SName.NameString) == 0 {
		return ticket{}, "", &Error{Cause: Malformed, err: errors.New("the KDC's answer is one to another request")}
	}
	t = newTicket(rep.Ticket, d)
	switch {
	case slices.EqualFunc(d.SName.NameString, req.ReqBody.SName.NameString, strings.EqualFold):
		return t, "", nil
	case len(d.SName.NameString) == 2 && d.SName.NameString[0] == "krbtgt" && d.SName.NameString[1] != g.realm:
		return t, d.SName.NameString[1], nil
	}
	return ticket{}, "", &Error{Cause: Malformed, err: errors.New("the KDC's ticket is for another service")}
}
