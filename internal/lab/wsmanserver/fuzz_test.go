package wsmanserver

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzEnvelope sends anything to a server: it must answer in the protocol's own terms, and lose no place of the quota.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		"", "<", "<x/>", `<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body/></s:Envelope>`,
		`<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body><Identify xmlns="` + nsIdentity + `"/></s:Body></s:Envelope>`,
		envelope(actionGet, uriGroup, selectors("Name", "SQL01"), ""),
		envelope(actionEnumerate, uriStar, "", wql("select * from MSCluster_ResourceGroup where State = -1 and Name like '%0[1-3]'")),
		envelope(actionEnumerate, uriStar, "", `<n:Enumerate><w:Filter Dialect="`+dialectAssociation+`">`+refers("MSCluster_ResourceGroup", "Owner")+`</w:Filter></n:Enumerate>`),
		envelope(actionEnumerate, uriGroup, `<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>`, "<n:Enumerate/>"),
		envelope(actionPull, uriStar, "", pullBody("uuid:1", 3)),
		envelope(actionRelease, uriStar, "", "<n:Release><n:EnumerationContext/></n:Release>"),
		envelope(uriGroup+"/Do", uriGroup, selectors("Name", "SQL01"), `<p:Do_INPUT xmlns:p="`+uriGroup+`"><p:A>1</p:A><p:A>2</p:A><p:B><a:ReferenceParameters/></p:B><p:C><p:D/></p:C></p:Do_INPUT>`),
	} {
		f.Add(seed)
	}
	m := cluster(3)
	m.method = func(p Parameters) (Output, error) {
		var out Output
		for _, x := range p {
			switch v := x.Value.(type) { // an embedded class may have any name here, which no Provider's has
			case nil, string, []string:
				out.Properties = append(out.Properties, Property{"P", v})
			}
		}
		return out, nil
	}
	s := server(f, m)
	f.Fuzz(func(t *testing.T, body string) {
		status, answer := s.reply(t.Context(), "reader", "utf-8", []byte(body))
		switch status {
		case http.StatusOK, http.StatusInternalServerError:
			if root, err := parseXML(answer); err != nil || !root.is(nsSOAP, "Envelope") {
				t.Errorf("HTTP %d and no SOAP: %v\n%s", status, err, answer)
			}
		case http.StatusBadRequest:
			if answer != nil {
				t.Errorf("HTTP 400 and an answer\n%s", answer)
			}
		default:
			t.Errorf("HTTP %d", status)
		}
		s.sessions.mu.Lock()
		defer s.sessions.mu.Unlock()
		if open, busy := len(s.sessions.enums), s.sessions.busy["reader"]; open != busy {
			t.Errorf("%d enumerations are open, %d operations under way", open, busy)
		}
		// Every input finds the same server, so that the fuzzer can tell what it does.
		clear(s.sessions.enums)
		clear(s.sessions.busy)
	})
}

// FuzzWQL reads any query and runs it.
func FuzzWQL(f *testing.F) {
	for _, seed := range []string{
		"select * from X", "SELECT a,b FROM X WHERE a='1' AND b IS NOT NULL", `select * from X where Name like '%[^a-z]_\'' and At > '20261008110000.250000+120'`,
		"select * from X where Flags >= 0xFF and State <> -1 and Load < 1.5 and Running = TRUE", "select * from X where Name = 'é\U0001F600'",
		"select * from X where Delay = '00000000000130.000000:000'",
	} {
		f.Add(seed)
	}
	all := []Instance{sample(), {Class: "X", Properties: []Property{{"a", "1"}, {"b", nil}}}}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseWQL(text)
		if err != nil {
			return
		}
		if q.class == "" || q.columns != nil && len(q.columns) == 0 || strings.ContainsAny(q.class, " '\"") {
			t.Fatalf("%q is read as %+v", text, q)
		}
		got, err := q.run(all)
		if err == nil && len(got) > len(all) {
			t.Fatalf("%q selects %d of %d", text, len(got), len(all))
		}
		for _, i := range got {
			if _, err := appendInstance(nil, nsCluster, i, q.columns); err != nil {
				t.Fatal(err)
			}
		}
	})
}
