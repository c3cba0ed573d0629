package wsmanserver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// state is a type of another package, as a Provider may use.
type state int32

// sample is an instance with a value of every kind.
func sample() Instance {
	return Instance{Class: "Win32_Sample", Properties: []Property{
		{"Name", `MSSQL$A'B`},
		{"Path", `C:\Program Files`},
		{"Empty", ""},
		{"Missing", nil},
		{"List", []string{"a"}},
		{"NoList", []uint16(nil)},
		{"Running", true},
		{"State", state(-1)},
		{"Flags", uint32(4294967295)},
		{"Size", uint64(18446744073709551615)},
		{"Load", 2.5},
		{"At", time.Date(2026, 10, 8, 11, 0, 0, 250_000_000, time.FixedZone("", 2*3600))},
		{"Never", time.Time{}},
		{"Delay", 90 * time.Second},
		{"Owner", Reference{Class: "X"}},
	}}
}

func TestWQLSelectsWhatWMIWould(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]bool{
		`Name = 'MSSQL$A\'B'`:                      true,
		`name = "mssql$a'b"`:                       true,
		`Name = 'MSSQL'`:                           false,
		`Name <> 'x'`:                              true,
		`Name != "MSSQL$A'B"`:                      false,
		`Name > 'MSS'`:                             true,
		`Name < 'MSS'`:                             false,
		`Path = 'C:\\Program Files'`:               true,
		`Empty = ''`:                               true,
		`Empty IS NULL`:                            false,
		`Missing IS NULL`:                          true,
		`missing is not null`:                      false,
		`Missing = NULL`:                           true,
		`Name <> NULL`:                             true,
		`Missing = 'x'`:                            false,
		`Missing <> 'x'`:                           false,
		`Missing LIKE '%'`:                         false,
		`NoList IS NULL`:                           true,
		`List IS NOT NULL`:                         true,
		`Name LIKE 'MSSQL$%'`:                      true,
		`Name LIKE '%a_b'`:                         true,
		`Name LIKE '%[a-c]_[^a]'`:                  true,
		`Name LIKE '%[^a-z]'`:                      false,
		`Name LIKE 'MSSQL'`:                        false,
		`Name LIKE '%%%'`:                          true,
		`Running = TRUE`:                           true,
		`Running = true AND Running <> false`:      true,
		`Running = 0`:                              false,
		`Running = 'true'`:                         true,
		`State = -1`:                               true,
		`State < 0`:                                true,
		`State = 4294967295`:                       false,
		`Flags = 4294967295`:                       true,
		`Flags = 0xFFFFFFFF`:                       true,
		`Flags >= '100'`:                           true,
		`Flags <= 100`:                             false,
		`Size > 18446744073709551614`:              true,
		`Size >= 18446744073709551615`:             true,
		`Load > 2`:                                 true,
		`Load = 2.50`:                              true,
		`Load < 1e1`:                               true,
		`At = '20261008110000.250000+120'`:         true,
		`At = '20261008090000.250000+000'`:         true,
		`At > '20261008085959.999999+000'`:         true,
		`At < "20261008040000.250000-300"`:         false,
		`Never = '16010101000000.000000+000'`:      true,
		`Delay = '00000000000130.000000:000'`:      true,
		`Delay > '00000001000000.000000:000'`:      false,
		`Name='MSSQL$A\'B'AND Flags>0 AND State<0`: true,
		`Name LIKE 'MSSQL%' AND State = 0`:         false,
	} {
		q, err := parseWQL("select * from Win32_Sample where " + where)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		got, err := q.run([]Instance{sample()})
		if err != nil || (len(got) == 1) != want {
			t.Errorf("%s selects %d, %v; want %v", where, len(got), err, want)
		}
	}
}

func TestWQLRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "select", "select *", "select * from", "select from X", "select a, from X", "select a b from X", "select *, a from X",
		"update X", "select * from X Y", "select * from select", "select * from X where", "select * from X where a",
		"select * from X where a =", "select * from X where a = b", "select * from X where 'x' = a", "select * from X where a = 1 or b = 2",
		"select * from X where not a = 1", "select * from X where (a = 1)", "select * from X where a isa 'Y'", "select * from X where a is 1",
		"select * from X where a is not 1", "select * from X where a like 1", "select * from X where a like NULL", "select * from X where a > NULL",
		"select * from X where a = 1 and", "select * from X where a = 1 b = 2", "select * from X where a = 'open", `select * from X where a = 'C:\Windows'`,
		`select * from X where a = 'x\`, "select * from X;", "select * from X where a = 1x", "select * from X where a = 0x", "select * from X where a = 1.2.3",
		"select * from X where a = 1_0", "select * from X where a == 1", "select * from X where a = - 1", "select * from X within 5",
		"associators of {X}", "select * from meta_class", "select * from X where a like '[' and b = 1", "select a.b from X", "select * from X where a = é",
	} {
		q, err := parseWQL(text)
		if err == nil && text == "select * from meta_class" {
			continue // a class like any other: the Provider does not know it
		}
		if err == nil {
			_, err = q.run([]Instance{{Class: "X", Properties: []Property{{"a", "x"}, {"b", 1}}}})
		}
		if err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for _, where := range []string{
		"List = 'a'", "List LIKE 'a'", "Owner = 'X'", "Running = 'maybe'", "Running = 2", "Flags = 'many'", "Flags = TRUE", "Name = TRUE",
		"At = '2026-10-08'", "At = 20261008", "At = '20261008******.******+***'", "At = '20261308000000.000000+000'", "Delay = '1'",
		"Delay = '99999999000000.000000:000'", "Flags LIKE '1%'", "Name LIKE '[a'", "Name LIKE '[]'",
	} {
		q, err := parseWQL("select * from Win32_Sample where " + where)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if _, err := q.run([]Instance{sample()}); err == nil {
			t.Errorf("%s was answered", where)
		}
	}
}

func TestWQLReadsAProjection(t *testing.T) {
	t.Parallel()
	q, err := parseWQL("\r\n SELECT  Name ,\tState,Id FROM  Win32_Service  WHERE Name='x' AND State <> \"Running\" ")
	if err != nil {
		t.Fatal(err)
	}
	want := &query{columns: []string{"Name", "State", "Id"}, class: "Win32_Service", where: []condition{
		{"Name", opEqual, literal{text: "x"}}, {"State", opNotEqual, literal{text: "Running"}},
	}}
	if diff := cmp.Diff(want, q, cmp.AllowUnexported(query{}, condition{}, literal{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLIKETakesLinearTime(t *testing.T) {
	t.Parallel()
	text := make([]byte, 1<<16)
	for i := range text {
		text[i] = 'a'
	}
	began := time.Now()
	if ok, err := like(string(text), "%a%a%a%a%a%a%a%a%a%a%a%a%b"); ok || err != nil {
		t.Errorf("like = %v, %v", ok, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
