package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// replay answers for many hosts that all say the same: it asks an origin once for each query, keeps its pages, and gives
// them to whoever asks again, so that on one machine the hosts' own work does not stand in for the exporter's.
type replay struct {
	origin  string // URL of a WS-Management server
	client  *http.Client
	account [2]string

	mu      sync.Mutex
	byQuery map[string]*recorded
	all     []*recorded
}

// recorded is an enumeration's answers, each in two halves around what differs from client to client: the message that
// it relates to, and the context.
type recorded struct {
	once  sync.Once
	err   error
	id    int
	pages [][]byte
}

var _ http.Handler = (*replay)(nil)

// What is found and replaced in messages; the client writes them in one way, and so does the origin.
var (
	messageID  = regexp.MustCompile(`<a:MessageID[^>]*>([^<]*)<`)                                           //nolint:gochecknoglobals // never written
	relatesTo  = regexp.MustCompile(`(<[^>]*RelatesTo[^>]*>)[^<]*<`)                                        //nolint:gochecknoglobals // never written
	contextOf  = regexp.MustCompile(`(<[^>/]*EnumerationContext[^>]*>)([^<]*)(</[^>]*EnumerationContext>)`) //nolint:gochecknoglobals // never written
	queryOf    = regexp.MustCompile(`(?s)<w:Filter[^>]*>(.*?)</w:Filter>`)                                  //nolint:gochecknoglobals // never written
	replayMark = "@@REPLAY-ID@@"                                                                            //nolint:gochecknoglobals // never written
)

// ServeHTTP answers one question.
func (r *replay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	question, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	page, err := r.page(question)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	id := []byte("")
	if m := messageID.FindSubmatch(question); m != nil {
		id = m[1]
	}
	before, after, _ := bytes.Cut(page, []byte(replayMark))
	w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(before)+len(id)+len(after)))
	for _, part := range [][]byte{before, id, after} {
		_, _ = w.Write(part) // a client that is gone wants no answer
	}
}

// page finds the page that a question wants: the first of a query, or the one that its context names.
func (r *replay) page(question []byte) ([]byte, error) {
	if m := queryOf.FindSubmatch(question); m != nil {
		rec := r.of(string(m[1]))
		rec.once.Do(func() { rec.err = r.record(rec, question) })
		if rec.err != nil {
			return nil, rec.err
		}
		return rec.pages[0], nil
	}
	m := contextOf.FindSubmatch(question)
	if m == nil {
		return nil, fmt.Errorf("neither a query nor a context in %.300s", question)
	}
	query, number, _ := strings.Cut(string(m[2]), "/")
	q, err := strconv.Atoi(query)
	n, err2 := strconv.Atoi(number)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || err2 != nil || q >= len(r.all) || n >= len(r.all[q].pages) {
		return nil, fmt.Errorf("context %s is not known", m[2])
	}
	return r.all[q].pages[n], nil
}

func (r *replay) of(query string) *recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.byQuery[query]
	if !ok {
		rec = &recorded{id: len(r.all)}
		r.byQuery[query] = rec
		r.all = append(r.all, rec)
	}
	return rec
}

// record asks the origin for all pages of a query.
func (r *replay) record(rec *recorded, question []byte) error {
	var pages [][]byte
	for {
		answer, err := r.ask(question)
		if err != nil {
			return err
		}
		answer = relatesTo.ReplaceAll(answer, []byte("${1}"+replayMark+"<"))
		m := contextOf.FindSubmatch(answer)
		if m != nil {
			question = pull(question, m[2])
			answer = contextOf.ReplaceAll(answer, fmt.Appendf(nil, "${1}%d/%d${3}", rec.id, len(pages)+1))
		}
		pages = append(pages, answer)
		if m == nil || bytes.Contains(answer, []byte("EndOfSequence")) {
			r.mu.Lock()
			rec.pages = pages
			r.mu.Unlock()
			return nil
		}
	}
}

// pull makes of a client's question, an Enumerate or a Pull, the Pull of a context.
func pull(question, context []byte) []byte {
	head, _, _ := bytes.Cut(question, []byte("<s:Body>"))
	head = bytes.ReplaceAll(head, []byte("/enumeration/Enumerate<"), []byte("/enumeration/Pull<"))
	return fmt.Appendf(bytes.Clone(head), "<s:Body><n:Pull><n:EnumerationContext>%s</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull></s:Body></s:Envelope>", context)
}

func (r *replay) ask(question []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, r.origin, bytes.NewReader(question)) //nolint:noctx // the process' own server
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	req.SetBasicAuth(r.account[0], r.account[1])
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the origin answered %d %.1000s", resp.StatusCode, answer)
	}
	return answer, err
}

// newReplay asks the origin at that address; its certificate is not looked at: it is in this process.
func newReplay(address, user, password string) *replay {
	return &replay{
		origin: "https://" + address + "/wsman", account: [2]string{user, password}, byQuery: map[string]*recorded{},
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, //nolint:gosec // see above
	}
}
