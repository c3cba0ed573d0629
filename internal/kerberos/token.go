package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/channel"
)

// maxToken bounds what is read of a service's token: Windows' largest (MaxTokenSize, learn.microsoft.com, "Problems with
// Kerberos authentication when a user belongs to many groups") is 64 KiB.
const maxToken = 64 << 10

// initial makes the first and only token of ours. It asks for no mutual authentication: the server has proven itself by
// its certificate, to which the token is bound.
func (c *Client) initial(t ticket, applicationData []byte) ([]byte, error) {
	auth, err := types.NewAuthenticator(c.realm, c.principal)
	if err != nil {
		return nil, err
	}
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: checksum(applicationData)}
	req, err := messages.NewAPReq(t.ticket, t.key, auth)
	if err != nil {
		return nil, err
	}
	mech, err := mechToken(req)
	if err != nil {
		return nil, err
	}
	token := spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{
		MechTypes: []asn1.ObjectIdentifier{gssapi.OIDKRB5.OID()}, MechTokenBytes: mech,
	}}
	return token.Marshal()
}

// checksum is the authenticator's "checksum" of GSS-API (RFC 4121, section 4.1.1): the bindings and the flags.
func checksum(applicationData []byte) []byte {
	const bindings = 16
	b := binary.LittleEndian.AppendUint32(nil, bindings)
	h := channel.Hash(applicationData)
	b = append(b, h[:]...)
	return binary.LittleEndian.AppendUint32(b, gssapi.ContextFlagInteg|gssapi.ContextFlagConf)
}

// mechToken frames an AP-REQ for GSS-API (RFC 4121, section 4.1).
func mechToken(req messages.APReq) ([]byte, error) {
	b, err := asn1.Marshal(gssapi.OIDKRB5.OID())
	if err != nil {
		return nil, err
	}
	body, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	b = append(b, 0x01, 0x00) // TOK_ID of an AP-REQ
	return asn1tools.AddASNAppTag(append(b, body...), 0), nil
}

// errRejected says that the service said no without a reason.
var errRejected = errors.New("the service rejects the ticket")

// Judge reads what a service answered to a token of ours, as the function does. Where it says no its ticket is dropped: it
// may have another key by now.
func (c *Client) Judge(spn string, token []byte) error {
	err := Judge(token)
	if err == nil {
		return nil
	}
	c.Forget(spn)
	return named(err, spn)
}

// Judge reads the service's token, an answer to ours: nil where it accepts or has nothing to say, an *Error where it says
// no, with the reason if it gives one. A token that nobody understands is no refusal; an empty one says nothing.
func Judge(token []byte) (err error) {
	if len(token) == 0 {
		return nil
	}
	if len(token) > maxToken {
		return &Error{Cause: Malformed, err: fmt.Errorf("a token of %d bytes, at most %d are read", len(token), maxToken)}
	}
	defer recoverAs(&err, "the service's token")
	var answer spnego.NegTokenResp
	if err := answer.Unmarshal(token); err != nil {
		return &Error{Cause: Malformed, err: errors.New("the service's token is no answer of SPNEGO")}
	}
	if e, ok := serviceError(answer.ResponseToken); ok {
		return &Error{Cause: causeOf(e.ErrorCode), err: fmt.Errorf("the service says %s", describe(e))}
	}
	if answer.State() == spnego.NegStateReject {
		return &Error{Cause: Refused, err: errRejected}
	}
	return nil
}

// serviceError finds a KRB-ERROR in a mechanism's token.
func serviceError(mech []byte) (messages.KRBError, bool) {
	if len(mech) == 0 {
		return messages.KRBError{}, false
	}
	var t spnego.KRB5Token
	if err := t.Unmarshal(mech); err != nil || !t.IsKRBError() {
		return messages.KRBError{}, false
	}
	return t.KRBError, true
}

// describe shows a KRB-ERROR by its number and the other's clock, without its text, which is the other's to choose.
func describe(e messages.KRBError) string {
	text := errorcode.Lookup(e.ErrorCode)
	if e.ErrorCode == errorcode.KRB_AP_ERR_SKEW && !e.STime.IsZero() {
		text += fmt.Sprintf(" (its clock shows %s)", e.STime.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return text
}

// recoverAs turns a panic of the library, which indexes into what strangers send without looking, into an error.
func recoverAs(err *error, what string) {
	if r := recover(); r != nil {
		*err = &Error{Cause: Malformed, err: fmt.Errorf("%s cannot be read", what)}
	}
}
