package kerberos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/lockout"
)

// grantor logs in: AS exchange (RFC 4120, section 3.1), with the timestamp as proof where the KDC asks for one.
func (k *kdc) grantor(ctx context.Context) (ticket, error) {
	c, text, err := k.secret()
	if err != nil {
		return ticket{}, err
	}
	try, err := k.lockout.Try(ctx, "KDC of "+k.realm, text)
	if err != nil {
		return ticket{}, heldBack(err)
	}
	defer try.Done()
	t, err := k.prove(ctx, c)
	var refused *Error
	switch {
	case err == nil:
		try.Accepted()
	case errors.As(err, &refused) && refused.Cause.secret():
		try.Refused(err)
	}
	return t, err
}

// heldBack is what a KDC said of the secret when it was shown to it last. Its cause is the same.
func heldBack(err error) error {
	var held *lockout.Held
	var said *Error
	if !errors.As(err, &held) || !errors.As(err, &said) {
		return &Error{Cause: Silent, err: err} // somebody else's try is waited for
	}
	return &Error{Cause: said.Cause, err: &lockout.Held{Err: said.err, Until: held.Until}}
}

// prove is grantor with a secret that may be shown.
func (k *kdc) prove(ctx context.Context, c *credentials.Credentials) (ticket, error) {
	req, err := messages.NewASReqForTGT(k.realm, k.config, k.principal)
	if err != nil {
		return ticket{}, &Error{Cause: Malformed, err: err}
	}
	if req.ReqBody.EType, err = k.ciphers(c); err != nil {
		return ticket{}, err
	}
	answer, refused, err := k.login(ctx, &req)
	if err != nil {
		return ticket{}, err
	}
	if refused != nil && refused.ErrorCode == errorcode.KDC_ERR_PREAUTH_REQUIRED {
		proof, err := k.proof(c, *refused, req.ReqBody.EType)
		if err != nil {
			return ticket{}, err
		}
		req.PAData = types.PADataSequence{proof}
		if answer, refused, err = k.login(ctx, &req); err != nil {
			return ticket{}, err
		}
	}
	if refused != nil {
		return ticket{}, &Error{Cause: causeOf(refused.ErrorCode), err: fmt.Errorf("the KDC says %s", describe(*refused))}
	}
	return k.granted(c, req, answer)
}

// login sends the request once.
func (k *kdc) login(ctx context.Context, req *messages.ASReq) ([]byte, *messages.KRBError, error) {
	b, err := req.Marshal()
	if err != nil {
		return nil, nil, &Error{Cause: Malformed, err: err}
	}
	return k.ask(ctx, k.realm, b)
}

// proof encrypts the time with the account's key, by the cipher and the salt that the KDC names.
func (k *kdc) proof(c *credentials.Credentials, refused messages.KRBError, allowed []int32) (pa types.PAData, err error) {
	defer recoverAs(&err, "what the KDC wants as proof")
	malformed := func(what string) (types.PAData, error) {
		return types.PAData{}, &Error{Cause: Malformed, err: fmt.Errorf("what the KDC wants as proof: %s", what)}
	}
	var offered types.PADataSequence
	if err := offered.Unmarshal(refused.EData); err != nil {
		return malformed("it is no list")
	}
	if err := checkEffort(offered); err != nil {
		return types.PAData{}, err
	}
	id, ok := offeredCipher(offered, allowed)
	if !ok {
		return malformed("none of the ciphers that are allowed")
	}
	var key types.EncryptionKey
	version := 0
	if c.HasKeytab() {
		key, version, err = c.Keytab().GetEncryptionKey(k.principal, k.realm, 0, id)
	} else {
		key, _, err = crypto.GetKeyFromPassword(c.Password(), k.principal, k.realm, id, only(offered, id))
	}
	if err != nil {
		return types.PAData{}, &Error{Cause: Misconfigured, err: errors.New("no key for the cipher that the KDC asks for")}
	}
	now, err := types.GetPAEncTSEncAsnMarshalled()
	if err != nil {
		return types.PAData{}, err
	}
	sealed, err := crypto.GetEncryptedData(now, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP, version)
	if err != nil {
		return types.PAData{}, err
	}
	b, err := sealed.Marshal()
	if err != nil {
		return types.PAData{}, err
	}
	return types.PAData{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: b}, nil
}

// offeredCipher is the first that the KDC names and we allow (RFC 4120, section 5.2.7.5).
func offeredCipher(offered types.PADataSequence, allowed []int32) (int32, bool) {
	for _, pa := range offered {
		if pa.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		var info types.ETypeInfo2
		if info.Unmarshal(pa.PADataValue) != nil {
			return 0, false
		}
		for _, i := range info {
			if slices.Contains(allowed, i.EType) {
				return i.EType, true
			}
		}
	}
	return 0, false
}

// only leaves of the KDC's list what belongs to one cipher: the library looks at the first entry alone.
func only(offered types.PADataSequence, id int32) types.PADataSequence {
	for _, pa := range offered {
		var info types.ETypeInfo2
		if pa.PADataType != patype.PA_ETYPE_INFO2 || info.Unmarshal(pa.PADataValue) != nil {
			continue
		}
		info = slices.DeleteFunc(info, func(e types.ETypeInfo2Entry) bool { return e.EType != id })
		if b, err := asn1.Marshal(info); err == nil {
			return types.PADataSequence{{PADataType: patype.PA_ETYPE_INFO2, PADataValue: b}}
		}
	}
	return nil
}

// checkEffort refuses parameters of ciphers that would keep us busy (maxIterations).
func checkEffort(list types.PADataSequence) error {
	for _, pa := range list {
		var info types.ETypeInfo2
		if pa.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		if info.Unmarshal(pa.PADataValue) != nil || len(info) == 0 {
			return &Error{Cause: Malformed, err: errors.New("the KDC's list of ciphers cannot be read")}
		}
		for _, i := range info {
			if len(i.S2KParams) != 0 && (len(i.S2KParams) != 4 || binary.BigEndian.Uint32(i.S2KParams) > maxIterations || binary.BigEndian.Uint32(i.S2KParams) == 0) {
				return &Error{Cause: Malformed, err: fmt.Errorf("the KDC asks for more than %d iterations of a password", maxIterations)}
			}
		}
	}
	return nil
}

// granted reads the answer to a login and checks that it is one to ours (RFC 4120, section 3.1.5).
func (k *kdc) granted(c *credentials.Credentials, req messages.ASReq, answer []byte) (t ticket, err error) {
	defer recoverAs(&err, "the KDC's answer")
	var rep messages.ASRep
	if err := rep.Unmarshal(answer); err != nil {
		return ticket{}, unreadable()
	}
	if err := checkEffort(rep.PAData); err != nil {
		return ticket{}, err
	}
	if !rep.CName.Equal(req.ReqBody.CName) || rep.CRealm != req.ReqBody.Realm || !slices.Contains(req.ReqBody.EType, rep.EncPart.EType) {
		return ticket{}, &Error{Cause: Malformed, err: errors.New("the KDC's answer is one to another request")}
	}
	if !c.HasKeytab() && len(rep.PAData) > 0 {
		if own := only(rep.PAData, rep.EncPart.EType); own != nil {
			rep.PAData = own
		}
	}
	if _, err := rep.DecryptEncPart(c); err != nil {
		return ticket{}, &Error{Cause: WrongSecret, err: errors.New("the KDC's answer does not open with it")}
	}
	d := rep.DecryptedEncPart
	if d.Nonce != req.ReqBody.Nonce || !d.SName.Equal(req.ReqBody.SName) || d.SRealm != req.ReqBody.Realm {
		return ticket{}, &Error{Cause: Malformed, err: errors.New("the KDC's answer is one to another request")}
	}
	t = newTicket(rep.Ticket, d)
	t.realm = k.realm
	return t, k.skewed(d.AuthTime)
}

// unreadable is an answer that is none.
func unreadable() error {
	return &Error{Cause: Malformed, err: errors.New("the KDC's answer cannot be read")}
}

// skewed compares the KDC's clock with ours.
func (k *kdc) skewed(theirs time.Time) error {
	if d := time.Since(theirs).Abs(); d > k.config.LibDefaults.Clockskew {
		return &Error{Cause: Skew, err: fmt.Errorf("the KDC's clock differs by %s, %s are allowed", d.Round(time.Second), k.config.LibDefaults.Clockskew)}
	}
	return nil
}
