package kerberos

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// refusedWith is a KDC's refusal that asks for a proof.
func refusedWith(t testing.TB, info ...types.ETypeInfo2Entry) []byte {
	t.Helper()
	list, err := asn1.Marshal(types.ETypeInfo2(info))
	if err != nil {
		t.Fatal(err)
	}
	data, err := asn1.Marshal(types.PADataSequence{{PADataType: patype.PA_ETYPE_INFO2, PADataValue: list}})
	if err != nil {
		t.Fatal(err)
	}
	e := messages.NewKRBError(types.NewPrincipalName(2, "krbtgt/CORP.EXAMPLE"), "CORP.EXAMPLE", errorcode.KDC_ERR_PREAUTH_REQUIRED, "")
	e.EData = data
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// iterations are the parameters of a cipher that wants so many.
func iterations(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// proven answers a refusal with a proof by password.
func proven(t testing.TB, refused []byte) error {
	t.Helper()
	k := &kdc{principal: types.NewPrincipalName(1, "hv-reader"), realm: "CORP.EXAMPLE"}
	e := refusal(refused)
	if e == nil {
		t.Fatal("the refusal is not read as one")
	}
	_, err := k.proof(credentials.NewFromPrincipalName(k.principal, k.realm).WithPassword(secret), *e, []int32{18, 17})
	return err
}

func TestAKDCCannotKeepUsBusy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info types.ETypeInfo2Entry
		ok   bool
	}{
		"as usual":                   {types.ETypeInfo2Entry{EType: 18, Salt: "s"}, true},
		"4,096 iterations":           {types.ETypeInfo2Entry{EType: 18, Salt: "s", S2KParams: iterations(4096)}, true},
		"four thousand millions":     {types.ETypeInfo2Entry{EType: 18, Salt: "s", S2KParams: iterations(1<<32 - 1)}, false},
		"0, which means 2 to the 32": {types.ETypeInfo2Entry{EType: 18, Salt: "s", S2KParams: iterations(0)}, false},
		"a number of three bytes":    {types.ETypeInfo2Entry{EType: 18, Salt: "s", S2KParams: []byte{1, 2, 3}}, false},
		"RC4 alone":                  {types.ETypeInfo2Entry{EType: 23}, false},
	} {
		err := proven(t, refusedWith(t, c.info))
		var k *Error
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &k) || k.Cause != Malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := proven(t, refusedWith(t)); err == nil {
		t.Error("an empty list of ciphers is taken")
	}
	// The first cipher of the list is one that we do not take: the second one is, with its own salt.
	if err := proven(t, refusedWith(t, types.ETypeInfo2Entry{EType: 23}, types.ETypeInfo2Entry{EType: 17, Salt: "s"})); err != nil {
		t.Errorf("RC4 first, AES second: %v", err)
	}
}

func TestWhatAServiceSaysIsTold(t *testing.T) {
	t.Parallel()
	refusedBy := func(code int32) []byte {
		e := messages.NewKRBError(types.NewPrincipalName(2, spn), "CORP.EXAMPLE", code, "secret of the service")
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return answered(t, spnego.NegStateReject, append([]byte{3, 0}, b...))
	}
	for name, c := range map[string]struct {
		token []byte
		ok    bool
		want  Cause
	}{
		"nothing":       {nil, true, 0},
		"accepted":      {answered(t, spnego.NegStateAcceptCompleted, nil), true, 0},
		"rejected":      {answered(t, spnego.NegStateReject, nil), false, Refused},
		"skew":          {refusedBy(errorcode.KRB_AP_ERR_SKEW), false, Skew},
		"expired":       {refusedBy(errorcode.KRB_AP_ERR_TKT_EXPIRED), false, Expired},
		"another's key": {refusedBy(errorcode.KRB_AP_ERR_MODIFIED), false, WrongService},
		"garbage":       {[]byte("garbage"), false, Malformed},
		"too much":      {make([]byte, maxToken+1), false, Malformed},
	} {
		err := Judge(c.token)
		var k *Error
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &k) || k.Cause != c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// answered is a service's token, with a Kerberos message of its own in it where there is one.
func answered(t testing.TB, state spnego.NegState, message []byte) []byte {
	t.Helper()
	r := spnego.NegTokenResp{NegState: asn1.Enumerated(state)}
	if message != nil {
		oid, err := hex.DecodeString("06092a864886f712010202")
		if err != nil {
			t.Fatal(err)
		}
		body := append(oid, message...)
		r.ResponseToken = append([]byte{0x60, 0x81, byte(len(body))}, body...)
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzAnswers: whatever a KDC or a service sends is judged without a panic, and in bounded time.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("garbage"))
	f.Add(refusedWith(f, types.ETypeInfo2Entry{EType: 18, Salt: "s"}))
	f.Add(refusedWith(f))
	f.Add(answered(f, spnego.NegStateReject, []byte{3, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxAnswer {
			return // exchange reads no more
		}
		k := &kdc{principal: types.NewPrincipalName(1, "hv-reader"), realm: "CORP.EXAMPLE"}
		c := credentials.NewFromPrincipalName(k.principal, k.realm).WithPassword(secret)
		if e := refusal(b); e != nil {
			_, _ = k.proof(c, *e, []int32{18, 17})
		}
		req := messages.ASReq{}
		req.ReqBody.CName, req.ReqBody.Realm, req.ReqBody.EType = k.principal, k.realm, []int32{18, 17}
		if _, err := k.granted(c, req, b); err == nil {
			t.Error("a login was granted without the account's key")
		}
		g := ticket{realm: k.realm, key: types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)}}
		if _, _, err := k.ticketed(g, messages.TGSReq{}, b); err == nil {
			t.Error("a ticket was granted without the session's key")
		}
		_ = Judge(b)
	})
}
