package kerberos

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	krb5config "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// What is believed of a KDC.
const (
	// maxAnswer bounds an answer in bytes: twice Windows' largest ticket.
	maxAnswer = 128 << 10
	// maxIterations bounds the work that an answer can make of a password: RFC 3962 (section 4) has 4,096 by default, RFC
	// 8009 (section 4) 32,768. Whoever answers in the KDC's place could ask for four thousand millions.
	maxIterations = 1 << 17
	// maxReferrals bounds the way to a service in another realm.
	maxReferrals = 5
)

// kdc talks to the key distribution centres of a realm, over TCP alone: an answer over UDP would have to be small, and
// Windows' are not.
type kdc struct {
	principal types.PrincipalName
	realm     string
	config    *krb5config.Config
	keytab    func() ([]byte, error)
	password  func() (string, error)
	lockout   *lockout.Keeper
	names     *dial.Names
}

var _ exchanger = (*kdc)(nil)

// newKDC checks the options and reads krb5.conf.
func newKDC(o Options) (*kdc, error) {
	if (o.Keytab == nil) == (o.Password == nil) {
		return nil, errors.New("kerberos: want a keytab or a password")
	}
	file := o.ConfigFile
	if file == "" {
		file = DefaultConfigFile
	}
	cfg, err := readConfig(file)
	if err != nil {
		return nil, fmt.Errorf("kerberos: %w", err)
	}
	user, realm, ok := strings.Cut(o.Username, "@")
	if !ok {
		realm = cfg.LibDefaults.DefaultRealm
	}
	switch {
	case user == "" || strings.ContainsAny(o.Username, `\`) || strings.Contains(realm, "@"):
		return nil, fmt.Errorf("kerberos: %q is no account of a realm; use user@REALM", o.Username)
	case realm == "":
		return nil, fmt.Errorf("kerberos: %q has no realm, and %s no default_realm; use user@REALM", o.Username, file)
	}
	return &kdc{
		principal: types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, user), realm: realm, config: cfg,
		keytab: o.Keytab, password: o.Password, lockout: o.Lockout, names: o.Names,
	}, nil
}

// maxConfig bounds krb5.conf: a path that names something else by mistake is refused, not read.
const maxConfig = 1 << 20

// CheckConfig reports whether a file can be used as krb5.conf; DefaultConfigFile where it is empty.
func CheckConfig(file string) error {
	if file == "" {
		file = DefaultConfigFile
	}
	_, err := readConfig(file)
	return err
}

// readConfig reads krb5.conf.
func readConfig(file string) (*krb5config.Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := krb5config.NewFromReader(bufio.NewReader(io.LimitReader(f, maxConfig)))
	var unsupported krb5config.UnsupportedDirective
	if err != nil && !errors.As(err, &unsupported) { // include and module lines: the rest was read
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// Single DES never; triple DES and RC4 only where the file asks for weak ciphers. The library has them by default.
	if !c.LibDefaults.AllowWeakCrypto {
		c.LibDefaults.DefaultTktEnctypeIDs = slices.DeleteFunc(c.LibDefaults.DefaultTktEnctypeIDs, weak)
		c.LibDefaults.DefaultTGSEnctypeIDs = slices.DeleteFunc(c.LibDefaults.DefaultTGSEnctypeIDs, weak)
	}
	c.LibDefaults.NoAddresses = true // a ticket that names our addresses is of no use behind a translator
	return c, nil
}

// weak reports whether a cipher is none of the AES ones (RFC 8429 deprecates RC4 and triple DES).
func weak(id int32) bool {
	switch id {
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192:
		return false
	}
	return true
}

// CheckKeytab reports whether what was read is a keytab with a key for the account that we would use.
func CheckKeytab(b []byte) error {
	_, err := parseKeytab(b)
	return err
}

// parseKeytab reads a keytab.
func parseKeytab(b []byte) (kt *keytab.Keytab, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it is no keytab")
		}
	}()
	kt = keytab.New()
	if err := kt.Unmarshal(b); err != nil {
		return nil, errors.New("it is no keytab")
	}
	if len(kt.Entries) == 0 {
		return nil, errors.New("the keytab is empty")
	}
	return kt, nil
}

// secret reads the account's secret; text is what tells it from another.
func (k *kdc) secret() (_ *credentials.Credentials, text string, _ error) {
	c := credentials.NewFromPrincipalName(k.principal, k.realm)
	if k.password != nil {
		p, err := k.password()
		if err != nil {
			return nil, "", &Error{Cause: Misconfigured, err: err}
		}
		return c.WithPassword(p), p, nil
	}
	b, err := k.keytab()
	if err != nil {
		return nil, "", &Error{Cause: Misconfigured, err: err}
	}
	kt, err := parseKeytab(b)
	if err != nil {
		return nil, "", &Error{Cause: Misconfigured, err: err}
	}
	return c.WithKeytab(kt), string(b), nil
}

// ciphers returns those that we may ask for: of a keytab only those that it has a key for.
func (k *kdc) ciphers(c *credentials.Credentials) ([]int32, error) {
	all := k.config.LibDefaults.DefaultTktEnctypeIDs
	if !c.HasKeytab() {
		return all, nil
	}
	have := slices.DeleteFunc(slices.Clone(all), func(id int32) bool {
		_, _, err := c.Keytab().GetEncryptionKey(k.principal, k.realm, 0, id)
		return err != nil
	})
	if len(have) == 0 {
		return nil, &Error{Cause: Misconfigured, err: fmt.Errorf("the keytab has no key of %s@%s for a cipher that is allowed (%v)",
			k.principal.PrincipalNameString(), k.realm, all)}
	}
	return have, nil
}

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
