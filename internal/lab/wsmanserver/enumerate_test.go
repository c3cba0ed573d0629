package wsmanserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// query sends an optimised Enumerate.
func sendQuery(t testing.TB, s *Server, text string) answer {
	t.Helper()
	return send(t, s, envelope(actionEnumerate, uriStar, "", wql(text)))
}

// sendPull sends a Pull.
func sendPull(t testing.TB, s *Server, context string, n int) answer {
	t.Helper()
	return send(t, s, envelope(actionPull, uriStar, "", pullBody(context, n)))
}

func TestOptimizedEnumerationGivesOneItemWhereverThereAreMore(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 40} {
		s := server(t, cluster(n))
		a := ok(t, sendQuery(t, s, "SELECT * FROM MSCluster_ResourceGroup"))
		got, context, end := names(t, a)
		if want := min(n, 1); len(got) != want {
			t.Errorf("of %d, %d came with the first answer, want %d", n, len(got), want)
		}
		if wantEnd := n <= 1; end != wantEnd || (context == "") != wantEnd {
			t.Errorf("of %d: end %v, context %q; want end %v", n, end, context, wantEnd)
		}
		// Items and EndOfSequence are w's here, n's in a PullResponse (captured).
		if a.body.child(nsWSMan, "Items") == nil || end != (a.body.child(nsWSMan, "EndOfSequence") != nil) {
			t.Errorf("of %d: Items or EndOfSequence are in another namespace\n%s", n, a.raw)
		}
		if end {
			continue
		}
		a = ok(t, sendPull(t, s, context, 32000))
		rest, context, end := names(t, a)
		if len(rest) != n-1 || !end || context != "" || a.body.child(nsEnumeration, "Items") == nil {
			t.Errorf("of %d, the first Pull gave %d, end %v, context %q", n, len(rest), end, context)
		}
	}
}

func TestPlainEnumerationGivesAContextOnly(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3} {
		s := server(t, cluster(n))
		a := ok(t, send(t, s, envelope(actionEnumerate, uriGroup, "", `<n:Enumerate/>`)))
		got, context, end := names(t, a)
		if len(got) != 0 || context == "" || end || len(a.body.children) != 1 {
			t.Fatalf("unexpected answer\n%s", a.raw)
		}
		var all []string
		for pulls := 0; !end; pulls++ {
			// Without MaxElements every Pull gives one (captured).
			got, context, end = names(t, ok(t, sendPull(t, s, context, 0)))
			if all = append(all, got...); pulls > n || len(got) > 1 {
				t.Fatalf("Pull %d of %d gave %d", pulls, n, len(got))
			}
		}
		if len(all) != n || context != "" {
			t.Errorf("%d came of %d, context %q", len(all), n, context)
		}
	}
}

func TestTheContextChangesWithEveryPullAndBelongsToItsUser(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(5))
	_, first, _ := names(t, ok(t, sendQuery(t, s, "select Name from MSCluster_ResourceGroup")))
	wantFault(t, roundTrip(t, s, httpRequest(t, "operator", envelope(actionPull, uriStar, "", pullBody(first, 1)))),
		CodeInvalidContext, "n:InvalidEnumerationContext")
	got, second, _ := names(t, ok(t, sendPull(t, s, first, 2)))
	if !slices.Equal(got, []string{"SQL02", "SQL03"}) || second == first || !strings.HasPrefix(second, "uuid:") {
		t.Errorf("Pull gave %v, context %q after %q", got, second, first)
	}
	wantFault(t, sendPull(t, s, first, 1), CodeInvalidContext, "n:InvalidEnumerationContext")
	if r := ok(t, send(t, s, envelope(actionRelease, uriStar, "", strings.ReplaceAll(pullBody(second, 0), "n:Pull", "n:Release")))); r.body != nil || r.action != actionRelease+"Response" {
		t.Errorf("Release answered %s\n%s", r.action, r.raw)
	}
	wantFault(t, sendPull(t, s, second, 1), CodeInvalidContext, "n:InvalidEnumerationContext")
	wantFault(t, send(t, s, envelope(actionRelease, uriStar, "", `<n:Release/>`)), CodeInvalidContext, "n:InvalidEnumerationContext")
}

func TestPagesEndAtTheEnvelopesSizeInUTF16(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fill string
	}{{"ASCII", strings.Repeat("x", 300)}, {"Japanese", strings.Repeat("仮", 300)}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := cluster(1000)
			for k := range m.classes[nsCluster+"/mscluster_resourcegroup"] {
				m.classes[nsCluster+"/mscluster_resourcegroup"][k].Properties[1].Value = c.fill
			}
			s := server(t, m)
			const limit = 153600
			size := fmt.Sprintf(`<w:MaxEnvelopeSize s:mustUnderstand="true">%d</w:MaxEnvelopeSize>`, limit)
			_, context, _ := names(t, ok(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup")))
			total, end := 1, false
			for !end {
				a := ok(t, send(t, s, envelope(actionPull, uriStar, size, pullBody(context, 32000))))
				var got []string
				got, context, end = names(t, a)
				total += len(got)
				// Captured with 153600: pages of 75 to 76.8 thousand characters. Ours may end one item earlier.
				if units := utf16Bytes([]byte(a.raw)); units > limit || !end && units < limit-4000 {
					t.Errorf("a page has %d bytes in UTF-16 of %d", units, limit)
				}
			}
			if total != 1000 {
				t.Errorf("%d came of 1000", total)
			}
		})
	}
}

func TestAnItemLargerThanTheEnvelopeIsAFault(t *testing.T) {
	t.Parallel()
	m := cluster(2)
	m.classes[nsCluster+"/mscluster_resourcegroup"][1].Properties[1].Value = strings.Repeat("x", 8192)
	s := server(t, m)
	size := `<w:MaxEnvelopeSize s:mustUnderstand="true">8192</w:MaxEnvelopeSize>`
	_, context, _ := names(t, ok(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup")))
	wantFault(t, send(t, s, envelope(actionPull, uriStar, size, pullBody(context, 10))), CodeEnvelopeExceeded, "w:EncodingLimit")
	wantFault(t, sendPull(t, s, context, 10), CodeInvalidContext, "n:InvalidEnumerationContext")
	wantFault(t, send(t, s, envelope(actionGet, uriGroup, size+selectors("Name", "SQL02"), "")), CodeEnvelopeExceeded, "w:EncodingLimit")
}

// refers is what an association filter asks of the group SQL01.
func refers(class, role string) string {
	return `<b:AssociationInstances xmlns:b="` + nsBinding + `"><b:Object><a:Address>` + anonymous + `</a:Address><a:ReferenceParameters><w:ResourceURI>` + uriGroup +
		`</w:ResourceURI><w:SelectorSet><w:Selector Name="Name">SQL01</w:Selector></w:SelectorSet></a:ReferenceParameters></b:Object><b:ResultClassName>` + class +
		`</b:ResultClassName><b:Role>` + role + `</b:Role></b:AssociationInstances>`
}

func TestAnAssociationIsAskedForByOneOfItsEnds(t *testing.T) {
	t.Parallel()
	m := cluster(2)
	const class = "MSCluster_Joins"
	joins := func(name, group string) Instance {
		return Instance{Class: class, Properties: []Property{{"Name", name}, {"GroupComponent", Reference{Class: "mscluster_resourcegroup", Keys: Selectors{{"name", group}}}}, {"PartComponent", nil}}}
	}
	m.classes[nsCluster+"/"+strings.ToLower(class)] = []Instance{joins("first", "sql01"), joins("second", "SQL02"), joins("third", "SQL01")}
	s := server(t, m)
	ask := func(role string) []string {
		a := ok(t, send(t, s, envelope(actionEnumerate, uriStar, "", `<n:Enumerate><w:OptimizeEnumeration/><w:Filter Dialect="`+dialectAssociation+`">`+refers(class, role)+`</w:Filter></n:Enumerate>`)))
		got, context, end := names(t, a)
		if !end {
			rest, _, _ := names(t, ok(t, sendPull(t, s, context, 10)))
			got = append(got, rest...)
		}
		return got
	}
	if got := ask("groupcomponent"); !slices.Equal(got, []string{"first", "third"}) {
		t.Errorf("what refers to SQL01 = %v, want first and third", got)
	}
	if got := ask("PartComponent"); len(got) != 0 {
		t.Errorf("what refers to SQL01 by another property = %v, want nothing", got)
	}
}

func TestWrongEnumerationsAreFaults(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(2))
	filter := func(attrs, text string) string {
		return `<n:Enumerate><w:Filter` + attrs + `>` + text + `</w:Filter></n:Enumerate>`
	}
	dialect, association := ` Dialect="`+dialectWQL+`"`, ` Dialect="`+dialectAssociation+`"`
	for _, c := range []struct {
		name, action, uri, header, body string
		code                            Code
		subcode                         string
	}{
		{"no body", actionEnumerate, uriGroup, "", "", CodeInvalidBody, "w:InvalidBody"},
		{"another body", actionEnumerate, uriGroup, "", `<n:Pull/>`, CodeInvalidBody, "w:InvalidBody"},
		{"a star without a filter", actionEnumerate, uriStar, "", `<n:Enumerate/>`, CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"keys", actionEnumerate, uriGroup, selectors("Name", "x"), `<n:Enumerate/>`, CodeEnumerateWithKeys, "w:InvalidSelectors"},
		{"a query on a class", actionEnumerate, uriGroup, "", filter(dialect, "select * from MSCluster_ResourceGroup"), CodeQueryNeedsStar, "w:InvalidSelectors"},
		{"no dialect", actionEnumerate, uriStar, "", filter("", "select * from x"), CodeDialectUnavailable, "n:FilterDialectRequestedUnavailable"},
		{"a selector filter", actionEnumerate, uriGroup, "", filter(` Dialect="http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"`, ""), CodeDialectUnavailable, "n:FilterDialectRequestedUnavailable"},
		{"a class that is not there", actionEnumerate, uriStar, "", filter(dialect, "select * from Win32_Processa"), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"a namespace that is not there", actionEnumerate, wmiBase + "root/MSClusters/*", "", filter(dialect, "select * from MSCluster_Node"), CodeNotFound, "a:DestinationUnreachable"},
		{"a class URI that is not there", actionEnumerate, wmiBase + "root/MSCluster/Win32_Processa", "", `<n:Enumerate/>`, CodeNotFound, "a:DestinationUnreachable"},
		{"a property that is not there", actionEnumerate, uriStar, "", filter(dialect, "select Nome from MSCluster_ResourceGroup"), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"a property in WHERE that is not there", actionEnumerate, uriStar, "", filter(dialect, "select * from MSCluster_ResourceGroup where Nome='x'"), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"OR", actionEnumerate, uriStar, "", filter(dialect, "select * from MSCluster_ResourceGroup where Name='x' or Name='y'"), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"elements in the query", actionEnumerate, uriStar, "", filter(dialect, "select * from MSCluster_ResourceGroup<x/>"), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"an association filter of nothing", actionEnumerate, uriStar, "", filter(association, ""), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"associated instances", actionEnumerate, uriStar, "", filter(association, `<b:AssociatedInstances xmlns:b="`+nsBinding+`"/>`), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"an association without a class", actionEnumerate, uriStar, "", filter(association, refers("", "GroupComponent")), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"an association without a role", actionEnumerate, uriStar, "", filter(association, refers("MSCluster_ResourceGroup", "")), CodeCannotProcessFilter, "n:CannotProcessFilter"},
		{"an association filter on a class", actionEnumerate, uriGroup, "", filter(association, refers("MSCluster_ResourceGroup", "Owner")), CodeQueryNeedsStar, "w:InvalidSelectors"},
		{"endpoint references", actionEnumerate, uriGroup, "", `<n:Enumerate><w:EnumerationMode>EnumerateEPR</w:EnumerationMode></n:Enumerate>`, CodeEnumerationMode, "w:UnsupportedFeature"},
		{"an expiration time", actionEnumerate, uriGroup, "", `<n:Enumerate><n:Expires>PT1M</n:Expires></n:Enumerate>`, CodeExpirationUnsupported, "w:UnsupportedFeature"},
		{"MaxElements in the namespace of Pull", actionEnumerate, uriGroup, "", `<n:Enumerate><n:MaxElements>1</n:MaxElements></n:Enumerate>`, CodeSchemaValidation, "w:SchemaValidationError"},
		{"no elements", actionEnumerate, uriGroup, "", `<n:Enumerate><w:MaxElements>0</w:MaxElements></n:Enumerate>`, CodeSchemaValidation, "w:SchemaValidationError"},
		{"a Pull without a context", actionPull, uriGroup, "", `<n:Pull/>`, CodeInvalidContext, "n:InvalidEnumerationContext"},
		{"a Pull with another context", actionPull, uriGroup, "", pullBody("uuid:none", 1), CodeInvalidContext, "n:InvalidEnumerationContext"},
		{"a Pull without a body", actionPull, uriGroup, "", "", CodeInvalidBody, "w:InvalidBody"},
		{"a Pull out of order", actionPull, uriGroup, "", `<n:Pull><n:EnumerationContext>x</n:EnumerationContext><n:MaxElements>1</n:MaxElements><n:MaxTime>PT1S</n:MaxTime></n:Pull>`, CodeSchemaValidation, "w:SchemaValidationError"},
		{"a Pull with MaxElements of Enumerate", actionPull, uriGroup, "", `<n:Pull><n:EnumerationContext>x</n:EnumerationContext><w:MaxElements>1</w:MaxElements></n:Pull>`, CodeSchemaValidation, "w:SchemaValidationError"},
		{"a Pull by characters", actionPull, uriGroup, "", `<n:Pull><n:EnumerationContext>x</n:EnumerationContext><n:MaxCharacters>9</n:MaxCharacters></n:Pull>`, CodeEnvelopeExceeded, "w:UnsupportedFeature"},
		{"a Release without a body", actionRelease, uriGroup, "", "", CodeInvalidBody, "w:InvalidBody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, send(t, s, envelope(c.action, c.uri, c.header, c.body)), c.code, c.subcode)
		})
	}
}

func TestAQueriesFaultNestsWhatTheProviderSaid(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(0))
	text := "Select * from Win32_Processa where name=\"sshd.exe\""
	a := sendQuery(t, s, text)
	inner := a.body.child(nsSOAP, "Detail").child(nsFault, "WSManFault").child(nsFault, "Message").child(nsFault, "ProviderFault")
	if inner == nil {
		t.Fatalf("no ProviderFault\n%s", a.raw)
	}
	if code, _ := inner.child(nsFault, "WSManFault").attr("", "Code"); code != "2150858778" {
		t.Errorf("the inner code is %s", code)
	}
	ext := wmiBase + "root/cimv2/__ExtendedStatus"
	status := inner.child(nsFault, "ExtendedError").child(ext, "__ExtendedStatus")
	if got := status.child(ext, "ParameterInfo").text(); got != text {
		t.Errorf("ParameterInfo = %q, want the query", got)
	}
	if a.action != nsEnumeration+"/fault" {
		t.Errorf("the fault's action is %s", a.action)
	}
}

func TestFaultsHaveTwoShapesAndTwoLanguages(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(0), func(o *Options) { o.Faults, o.Locale = FaultWMIError, "ja-JP" })
	a := sendQuery(t, s, "select * from Win32_Processa")
	const class = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
	detail := a.body.child(nsSOAP, "Detail").child(class, "MSFT_WmiError")
	if detail == nil || strings.Contains(a.raw, "WSManFault") {
		t.Fatalf("want an MSFT_WmiError alone\n%s", a.raw)
	}
	if got := detail.child(class, "error_Code").text(); got != "2150858778" {
		t.Errorf("error_Code = %s", got)
	}
	if got := detail.child(class, "Message").text(); got != "指定されたクラスは名前空間に存在しません。" {
		t.Errorf("Message = %s", got)
	}
	if got := a.body.child(nsSOAP, "Reason").child(nsSOAP, "Text").text(); !strings.Contains(got, "フィルター") {
		t.Errorf("the reason is in another language: %s", got)
	}
}

func TestEveryFaultHasASentenceInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, f := range []*Fault{
		faultAccessDenied(), faultNotFound(), faultUnknownResource(), faultUnknownAction(), faultMissingHeader(),
		faultInvalidHeader(), faultMustUnderstand("{}x"), faultVersionMismatch(), faultInvalidBody(), faultSchema(),
		faultParameterNamespace(), faultCannotProcessFilter(), faultDialect(), faultQueryNeedsStar(), faultEnumerateWithKeys(),
		faultInvalidContext(), faultTimedOut(), faultTooManyOperations(15), faultEnvelopeExceeded(), faultUnreportable(),
		faultEnvelopeTooSmall(), faultCharacterSet(), faultInvalidTimeout(), faultOptions(), faultSelectors(1, ""),
		faultNotSingleton(), faultHRESULT(&ProviderError{}, "", ""), providerFault(ErrAccessDenied, ""),
		providerFault(ErrInvalidParameter, ""), providerFault(ErrUnknownNamespace, ""), providerFault(ErrUnknownClass, ""),
	} {
		if en, ja := f.Reason.in("en-US"), f.Reason.in("ja-JP"); en == "" || ja == "" || en == ja {
			t.Errorf("%v: %q and %q", f, en, ja)
		}
	}
}

func TestAProjectionIsAFragmentWithoutNamespaces(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(1))
	a := ok(t, sendQuery(t, s, "select name, State, AntiAffinityClassNames, Id from MSCluster_ResourceGroup"))
	want := `<w:XmlFragment xmlns:xsi="` + nsXSI + `" xmlns:w="` + nsWSMan + `"><Id xsi:nil="true"/><Name>SQL01</Name><State>-1</State></w:XmlFragment>`
	if !strings.Contains(a.raw, want) {
		t.Errorf("want %s in\n%s", want, a.raw)
	}
}

func TestAWholeInstanceIsAnElementOfItsClass(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(1))
	want := `<p:MSCluster_ResourceGroup xmlns:xsi="` + nsXSI + `" xmlns:p="` + uriGroup + `" xmlns:cim="` + nsCIM +
		`" xsi:type="p:MSCluster_ResourceGroup_Type"><p:Description></p:Description><p:GroupType>111</p:GroupType>` +
		`<p:Id xsi:nil="true"/><p:IsCore>false</p:IsCore><p:Name>SQL01</p:Name><p:OwnerNode>HV1</p:OwnerNode>` +
		`<p:State>-1</p:State></p:MSCluster_ResourceGroup>`
	for name, a := range map[string]answer{
		"SELECT *":    sendQuery(t, s, "select * from MSCluster_ResourceGroup"),
		"a class URI": send(t, s, envelope(actionEnumerate, uriGroup, "", `<n:Enumerate><w:OptimizeEnumeration/></n:Enumerate>`)),
		"Get":         send(t, s, envelope(actionGet, uriGroup, selectors("Name", "SQL01"), "")),
	} {
		if !strings.Contains(ok(t, a).raw, want) {
			t.Errorf("%s: want %s in\n%s", name, want, a.raw)
		}
	}
}

func TestOperationsEndAtTheirTimeout(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": 60 * time.Second,
		`<w:OperationTimeout>PT12.500S</w:OperationTimeout>`: 12500 * time.Millisecond,
		`<w:OperationTimeout>PT0.010S</w:OperationTimeout>`:  500 * time.Millisecond, // what Windows makes of less
	} {
		synctest.Test(t, func(t *testing.T) {
			m := cluster(1)
			m.before = func(ctx context.Context) error {
				<-ctx.Done()
				return fmt.Errorf("hung: %w", ctx.Err())
			}
			s := server(t, m)
			began := time.Now()
			wantFault(t, send(t, s, envelope(actionEnumerate, uriStar, header, wql("select * from MSCluster_Cluster"))), CodeTimedOut, "w:TimedOut")
			if took := time.Since(began); took != want {
				t.Errorf("with %q it took %s, want %s", header, took, want)
			}
		})
	}
}

func TestAnEnumerationThatNobodyPullsDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := server(t, cluster(3), func(o *Options) { o.MaxOperations = 1 })
		_, context, _ := names(t, ok(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup")))
		time.Sleep(DefaultEnumerationTimeout - time.Second)
		wantFault(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup"), CodeTooManyOperations, "w:InternalError")
		_, context, _ = names(t, ok(t, sendPull(t, s, context, 1)))
		time.Sleep(DefaultEnumerationTimeout)
		wantFault(t, sendPull(t, s, context, 1), CodeInvalidContext, "n:InvalidEnumerationContext")
		ok(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup"))
	})
}

func TestTheQuotaCountsOperationsAndOpenEnumerationsOfOneUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := cluster(3)
		release := make(chan struct{})
		hold := false
		m.before = func(ctx context.Context) error {
			if hold {
				<-release
			}
			return nil
		}
		s := server(t, m, func(o *Options) { o.MaxOperations = 2 })
		_, context, _ := names(t, ok(t, sendQuery(t, s, "select * from MSCluster_ResourceGroup")))
		hold = true
		done := make(chan answer)
		go func() { done <- sendQuery(t, s, "select * from MSCluster_Cluster") }()
		synctest.Wait()
		hold = false
		full := sendQuery(t, s, "select * from MSCluster_Cluster")
		wantFault(t, full, CodeTooManyOperations, "w:InternalError")
		ok(t, roundTrip(t, s, httpRequest(t, "operator", envelope(actionEnumerate, uriStar, "", wql("select * from MSCluster_Cluster")))))
		_, context, _ = names(t, ok(t, sendPull(t, s, context, 1))) // its own place is free for a Pull
		close(release)
		ok(t, <-done)
		ok(t, sendQuery(t, s, "select * from MSCluster_Cluster"))
		ok(t, sendPull(t, s, context, 9))
		for user, n := range s.sessions.busy {
			t.Errorf("%d operations of %s are never given back", n, user)
		}
	})
}

func TestFailuresGiveTheirPlaceBack(t *testing.T) {
	t.Parallel()
	s := server(t, cluster(2), func(o *Options) { o.MaxOperations = 1 })
	for range 3 {
		wantFault(t, sendQuery(t, s, "select * from Nothing"), CodeCannotProcessFilter, "n:CannotProcessFilter")
		wantFault(t, sendQuery(t, s, "select nothing"), CodeCannotProcessFilter, "n:CannotProcessFilter")
		wantFault(t, send(t, s, envelope(nsTransfer+"/Delete", uriGroup, "", "")), CodeActionNotSupported, "a:ActionNotSupported")
	}
	if diff := cmp.Diff(map[string]int{}, s.sessions.busy); diff != "" {
		t.Errorf("operations under way (-want +got):\n%s", diff)
	}
}
