package wsman

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// page is a PullResponse of n resource groups, as a projection: what a scrape of a cluster decodes most of.
func page(n int) string {
	var b strings.Builder
	b.WriteString(envelopeHead + `<n:PullResponse><n:EnumerationContext>uuid:C</n:EnumerationContext><n:Items>`)
	for i := range n {
		b.WriteString(fragment(fmt.Sprintf(`<DefaultOwner>4294967295</DefaultOwner><FailoverPeriod>6</FailoverPeriod>`+
			`<FailoverThreshold>4294967295</FailoverThreshold><GroupType>111</GroupType><Id>6f9619ff-8b86-d011-b42d-%012d</Id><IsCore>false</IsCore>`+
			`<Name>SQL%05d</Name><OwnerNode>HV%02d</OwnerNode><PersistentState>true</PersistentState><Priority>2000</Priority>`+
			`<ResiliencyPeriod>0</ResiliencyPeriod><State>0</State><StatusInformation>1536</StatusInformation>`, i, i, i%64)))
	}
	b.WriteString(`</n:Items></n:PullResponse>` + envelopeTail)
	return b.String()
}

// BenchmarkDecode decodes a page of 500 groups, about 240 KB.
func BenchmarkDecode(b *testing.B) {
	answer := page(500)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := decode(answer)
		if err != nil || len(m.items) != 500 {
			b.Fatalf("%d items, %v", len(m.items), err)
		}
	}
}

// BenchmarkDecodeAndRead adds the reading of what a group needs.
func BenchmarkDecodeAndRead(b *testing.B) {
	answer := page(500)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := decode(answer)
		if err != nil {
			b.Fatal(err)
		}
		for i := range m.items {
			o := &m.items[i]
			for _, name := range [...]string{"Name", "OwnerNode", "Id"} {
				if _, ok, err := o.Text(name); !ok || err != nil {
					b.Fatal(name, ok, err)
				}
			}
			for _, name := range [...]string{"State", "GroupType", "Priority", "DefaultOwner", "FailoverThreshold"} {
				if _, ok, err := o.Int32(name); !ok || err != nil {
					b.Fatal(name, ok, err)
				}
			}
		}
	}
}

// BenchmarkStandardTokens is the least that encoding/xml needs for the same page: its tokens, thrown away.
func BenchmarkStandardTokens(b *testing.B) {
	answer := page(500)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		d := xml.NewDecoder(strings.NewReader(answer))
		for {
			_, err := d.RawToken()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkStandardUnmarshal is what a client on encoding/xml does: the page into structures.
func BenchmarkStandardUnmarshal(b *testing.B) {
	answer := page(500)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Body struct {
				PullResponse struct {
					Items struct {
						XMLFragment []struct {
							Name, OwnerNode, Id                             string
							State, GroupType, Priority                      int32
							DefaultOwner, FailoverThreshold, FailoverPeriod uint32
							ResiliencyPeriod                                uint32
							StatusInformation                               uint64
							PersistentState, IsCore                         bool
						} `xml:"XmlFragment"`
					}
				}
			}
		}
		if err := xml.Unmarshal([]byte(answer), &v); err != nil || len(v.Body.PullResponse.Items.XMLFragment) != 500 {
			b.Fatal(len(v.Body.PullResponse.Items.XMLFragment), err)
		}
	}
}
