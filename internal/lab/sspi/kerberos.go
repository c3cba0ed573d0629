package sspi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/channel"
)

// maxSkew is how much the clocks may differ (learn.microsoft.com, "Maximum tolerance for computer clock
// synchronization": 5 minutes by default).
const maxSkew = 5 * time.Minute

// maxSeen bounds the memory of authenticators; a lab does not run long enough to need more.
const maxSeen = 1 << 16

// Identifiers of tokens (RFC 4121, section 4.1).
var (
	idAPRep = []byte{0x02, 0x00}
	idError = []byte{0x03, 0x00}
)

// kerberos judges a ticket.
func (h *Handshake) kerberos(token []byte) ([]byte, error) {
	mech, wrapped, err := unwrap(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if !mech.IsAPReq() {
		return nil, fmt.Errorf("%w: not an AP-REQ", errRefused)
	}
	req := mech.APReq
	if err := h.verify(&req); err != nil {
		var code messages.KRBError
		if !errors.As(err, &code) {
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		b, merr := code.Marshal()
		if merr != nil {
			return nil, merr
		}
		reply, merr := wrap(framed(idError, b), wrapped, spnego.NegStateReject)
		return reply, errors.Join(fmt.Errorf("%w: %w", errRefused, err), merr)
	}
	var answer []byte
	if types.IsFlagSet(&req.APOptions, flags.APOptionMutualRequired) {
		if answer, err = mutual(req); err != nil {
			return nil, err
		}
	}
	h.user = strings.ToLower(req.Authenticator.CName.PrincipalNameString())
	return wrap(answer, wrapped, spnego.NegStateAcceptCompleted)
}

// unwrap takes a token of Kerberos out of SPNEGO's, where it is in one.
func unwrap(token []byte) (mech spnego.KRB5Token, wrapped bool, err error) {
	if mech.Unmarshal(token) == nil {
		return mech, false, nil
	}
	var outer spnego.SPNEGOToken
	if err := outer.Unmarshal(token); err != nil || !outer.Init {
		return mech, false, errMalformed
	}
	if len(outer.NegTokenInit.MechTypes) == 0 || !isKerberos(outer.NegTokenInit.MechTypes[0]) {
		return mech, false, errors.New("SPNEGO's first choice is not Kerberos")
	}
	return mech, true, mech.Unmarshal(outer.NegTokenInit.MechTokenBytes)
}

// isKerberos reports whether a mechanism is Kerberos, by its own name or by the one that old Windows misspelt.
func isKerberos(o asn1.ObjectIdentifier) bool {
	return o.Equal(gssapi.OIDKRB5.OID()) || o.Equal(gssapi.OIDMSLegacyKRB5.OID())
}

// wrap is the way back.
func wrap(mech []byte, wrapped bool, state spnego.NegState) ([]byte, error) {
	if !wrapped {
		return mech, nil
	}
	answer := spnego.NegTokenResp{NegState: asn1.Enumerated(state), SupportedMech: gssapi.OIDKRB5.OID(), ResponseToken: mech}
	return answer.Marshal()
}

// framed is a message of Kerberos as GSS-API has it.
func framed(id, message []byte) []byte {
	oid, err := asn1.Marshal(gssapi.OIDKRB5.OID())
	if err != nil {
		panic(err) // a constant
	}
	return asn1tools.AddASNAppTag(append(append(oid, id...), message...), 0)
}

// verify judges an AP-REQ (RFC 4120, section 3.2.3).
func (h *Handshake) verify(req *messages.APReq) error {
	refuse := func(code int32) error {
		return messages.NewKRBError(req.Ticket.SName, req.Ticket.Realm, code, "")
	}
	if err := req.Ticket.DecryptEncPart(h.acceptor.keytab, nil); err != nil {
		return refuse(errorcode.KRB_AP_ERR_MODIFIED)
	}
	if ok, err := req.Verify(h.acceptor.keytab, maxSkew, types.HostAddress{}, nil); err != nil || !ok {
		var known messages.KRBError
		if errors.As(err, &known) {
			return known
		}
		return refuse(errorcode.KRB_AP_ERR_BAD_INTEGRITY)
	}
	a := req.Authenticator
	if a.CRealm != h.acceptor.options.Realm {
		return refuse(errorcode.KRB_AP_ERR_BADMATCH)
	}
	if !h.acceptor.first(fmt.Sprint(a.CName.PrincipalNameString(), a.CTime.UnixNano(), a.Cusec, a.SeqNumber)) {
		return refuse(errorcode.KRB_AP_ERR_REPEAT)
	}
	sum := a.Cksum.Checksum
	if a.Cksum.CksumType != chksumtype.GSSAPI || len(sum) < 24 {
		return refuse(errorcode.KRB_AP_ERR_INAPP_CKSUM)
	}
	return h.bound(sum[4:20], channel.Hash(h.binding))
}

// first reports whether an authenticator is seen for the first time.
func (a *Acceptor) first(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[key] || len(a.seen) >= maxSeen {
		return false
	}
	a.seen[key] = true
	return true
}

// mutual proves us to the client: an AP-REP (RFC 4120, section 3.2.4).
func mutual(req messages.APReq) ([]byte, error) {
	part, err := asn1.Marshal(struct {
		CTime time.Time `asn1:"generalized,explicit,tag:0"`
		Cusec int       `asn1:"explicit,tag:1"`
	}{req.Authenticator.CTime, req.Authenticator.Cusec})
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), req.Ticket.DecryptedEncPart.Key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	b, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, err
	}
	return framed(idAPRep, asn1tools.AddASNAppTag(b, asnAppTag.APREP)), nil
}
