package exporter

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/common/expfmt"
)

// writers are what answers are written through, kept from one to the next: one that compresses takes a megabyte.
type writers struct{ plain, zip sync.Pool }

// answerFormats are what an answer may be written in, in the order of preference, as promhttp has them.
var answerFormats = expfmt.DefaultAcceptedFormats()

// write answers a scrape with the families in the format and compression that it asks for. The error is the client's, who
// is gone.
func (p *writers) write(w http.ResponseWriter, r *http.Request, f families) error {
	format := expfmt.NegotiateAccept(r.Header, answerFormats...)
	h := w.Header()
	h.Set("Content-Type", string(format))
	h["Vary"] = []string{"Accept", "Accept-Encoding"}
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		z, ok := p.zip.Get().(*gzip.Writer)
		if !ok {
			z = gzip.NewWriter(nil)
		}
		z.Reset(w)
		defer func() {
			z.Reset(nil) // it would keep the connection
			p.zip.Put(z)
		}()
		if err := p.buffered(z, format, f); err != nil {
			return err
		}
		return z.Close()
	}
	return p.buffered(w, format, f)
}

// buffered writes the families in few and large pieces.
func (p *writers) buffered(to io.Writer, format expfmt.Format, f families) error {
	b, ok := p.plain.Get().(*bufio.Writer)
	if !ok {
		b = bufio.NewWriterSize(nil, 32<<10)
	}
	b.Reset(to)
	defer func() {
		b.Reset(nil)
		p.plain.Put(b)
	}()
	if err := f.write(b, format); err != nil {
		return err
	}
	return b.Flush()
}

// acceptsGzip reports whether a header Accept-Encoding takes gzip (RFC 9110, 12.5.3): by its name or by *, and not with a
// weight of 0. Where it is not named, its weight is that of *.
func acceptsGzip(header string) bool {
	accepted := false
	for header != "" {
		var coding, weight string
		coding, header, _ = strings.Cut(header, ",")
		coding, weight, _ = strings.Cut(coding, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(weight), "=")
		taken := true
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			taken = err == nil && q > 0
		}
		switch coding = strings.TrimSpace(coding); {
		case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
			return taken
		case coding == "*":
			accepted = taken
		}
	}
	return accepted
}
