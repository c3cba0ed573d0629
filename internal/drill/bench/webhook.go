package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"

	"github.com/hypervigil/hypervigil/receiver/intake"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// The webhook's row: notifications go out at their time whether or not the one before was answered. The floor and the
// webhook alternate in phases.
const (
	webhookRate    = 200 // a second
	webhookAlerts  = 50
	webhookPhase   = 5 * time.Second
	webhookCount   = int(webhookPhase/time.Second) * webhookRate
	webhookPhases  = 6 // of each
	webhookFloor   = 5 * time.Millisecond
	webhookLongest = 10 * time.Millisecond
)

// benchWebhook posts to the intake over loopback, with the ledger on the file system of the run's folder, and writes the
// same bytes to a bare bbolt file beside it, one transaction each as they come.
func benchWebhook(ctx context.Context, b *bench) (outcome, error) {
	dir, err := b.folder("webhook")
	if err != nil {
		return outcome{}, err
	}
	hook, err := openHook(dir)
	if err != nil {
		return outcome{}, err
	}
	defer hook.close()
	bare, err := openBare(filepath.Join(dir, "bare.db"))
	if err != nil {
		return outcome{}, err
	}
	defer bare.Close()
	var floor, took []float64
	var refused int
	var why error // of the last one
	for phase := range 2 * webhookPhases {
		// What is posted and written is made beforehand: it is the sender's work.
		bodies := make([][]byte, webhookCount)
		for i := range bodies {
			bodies[i] = notification(phase*webhookCount + i)
		}
		do := func(ctx context.Context, n int) error { return hook.post(ctx, bodies[n]) }
		list := &took
		if phase%2 == 0 {
			batches, err := recordsOf(bodies)
			if err != nil {
				return outcome{}, err
			}
			// That intake numbers from the same sequence on in each phase: the phase keeps the keys apart.
			prefix := fmt.Sprintf("%d/", phase)
			do = func(_ context.Context, n int) error { return writeBare(bare, prefix, batches[n]) }
			list = &floor
		}
		more, errs := openLoop(ctx, do)
		*list = append(*list, more...)
		for _, err := range errs {
			if err != nil {
				refused, why = refused+1, err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	n, err := hook.stored(ctx)
	if err != nil {
		return outcome{}, err
	}
	if n < len(took)-refused { // one that was refused may have been written a moment later
		return outcome{}, fmt.Errorf("%d notifications were accepted and %d are in the ledger", len(took)-refused, n)
	}
	note := fmt.Sprintf("each from the moment at which it was due; %d phases of %s of each, alternating; a limit in ms holds where the floor is at most %s", webhookPhases, webhookPhase, webhookFloor)
	if why != nil {
		note += "; " + why.Error()
	}
	return outcome{Samples: len(took), Figures: webhookFigures(floor, took, refused), Note: note}, nil
}

// webhookFigures compares the times of both, in milliseconds. A notification that is refused is answered after a second at
// most, which the floor's are not: where the 99th percentile is that of a refused one, it is not reached however small it is.
func webhookFigures(floor, took []float64, refused int) []figure {
	low, p99 := percentile(floor, 99), percentile(took, 99)
	ratio, longest := atMost("webhook, 99th percentile, of bare bbolt's", p99/low, "×", 2), fact("webhook, 99th percentile", p99, "ms")
	if low <= float64(webhookFloor)/1e6 {
		longest = atMost(longest.Name, p99, "ms", float64(webhookLongest)/1e6)
	}
	if refused*100 > len(took) {
		ratio.Met = false
		longest.Met = longest.AtMost == nil
	}
	return []figure{
		fact("bare bbolt, median", median(floor), "ms"),
		fact("bare bbolt, 99th percentile", low, "ms"),
		atMost("not written within a second, or refused", float64(refused), "", 0),
		fact("webhook, median", median(took), "ms"),
		ratio, longest,
	}
}

// openLoop starts one after another at the rate, for one phase, and returns how long after its moment each was done, in
// milliseconds.
func openLoop(ctx context.Context, do func(context.Context, int) error) (took []float64, errs []error) {
	took, errs = make([]float64, webhookCount), make([]error, webhookCount)
	var open sync.WaitGroup
	began := time.Now()
	for i := range webhookCount {
		due := began.Add(time.Duration(i) * time.Second / webhookRate)
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		open.Go(func() {
			errs[i] = do(ctx, i)
			took[i] = float64(time.Since(due)) / 1e6
		})
	}
	open.Wait()
	return took, errs
}

// hook is the receiver's intake on a listener of its own.
type hook struct {
	store     *ledger.Bolt
	committer *ledger.Committer
	handler   *intake.Handler
	server    interface{ Shutdown(context.Context) error }
	served    chan error
	url       string
	token     token
	client    *http.Client
}

type token string

// Reveal returns the token.
func (t token) Reveal() string { return string(t) }

func openHook(dir string) (*hook, error) {
	store, err := ledger.OpenBolt(filepath.Join(dir, "ledger.db"), ledger.Options{})
	if err != nil {
		return nil, err
	}
	h := &hook{store: store, committer: ledger.NewCommitter(store, 1), token: token(rand.Text()), served: make(chan error, 1)}
	h.handler, err = intake.New(intake.Options{
		Token: h.token, Commit: h.committer.Commit, Store: store, Accepted: func(intake.Notification) {}, Logger: log.NewNopLogger(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, errors.Join(err, h.committer.Close(), store.Close())
	}
	server, err := intake.NewServer(intake.ServerOptions{Handler: h.handler, Logger: log.NewNopLogger()})
	if err != nil {
		return nil, errors.Join(err, h.committer.Close(), store.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, h.committer.Close(), store.Close())
	}
	h.server, h.url = server, "http://"+l.Addr().String()+intake.DefaultPath
	h.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	go func() { h.served <- server.Serve(l) }()
	return h, nil
}

func (h *hook) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h.client.CloseIdleConnections()
	_ = h.server.Shutdown(ctx) // the figures are known by now
	<-h.served
	_ = h.handler.Close(ctx)
	_ = h.committer.Close()
	_ = h.store.Close()
}

// notification is what Alertmanager would post the n-th time: 50 alerts of a group, each time of another moment.
func notification(n int) []byte {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	alerts := make([]map[string]any, 0, webhookAlerts)
	for i := range webhookAlerts {
		alerts = append(alerts, map[string]any{
			"status": "firing", "startsAt": at, "endsAt": time.Time{}, "generatorURL": "http://prometheus.corp.example:9090/graph?g0.expr=mssql_up+%3D%3D+0",
			"fingerprint": fmt.Sprintf("%016x", n*webhookAlerts+i),
			"labels": map[string]string{
				"alertname": "SQLServerDown", "cluster": "hv-cl1", "vm": fmt.Sprintf("SQL%04d", i), "sql_instance": "MSSQLSERVER",
				"fault": "service", "severity": "critical", "hypervigil": "act",
			},
			"annotations": map[string]string{
				"summary": "SQL Server does not accept connections", "description": "The port refuses connections and the service does not run.",
				"runbook_url": "https://hypervigil.example/runbooks/SQLServerDown",
			},
		})
	}
	b, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": fmt.Sprintf(`{}:{cluster="hv-cl1", group="%d"}`, n%100), "truncatedAlerts": 0, "status": "firing", "receiver": "hypervigil",
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "externalURL": "http://alertmanager.corp.example:9093", "alerts": alerts,
	})
	if err != nil {
		panic(err) // maps of strings
	}
	return b
}

// post posts a notification and wants it accepted.
func (h *hook) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+h.token.Reveal())
	resp, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("a notification was answered by %d %s", resp.StatusCode, text)
	}
	return err
}

// stored counts the notifications in the ledger.
func (h *hook) stored(ctx context.Context) (n int, err error) {
	err = h.store.List(ctx, ledger.Prefix("intake"), func(string, []byte) error { n++; return nil })
	return n, err
}

// recordsOf returns what the intake writes for each of the bodies: the very bytes, from an intake of its own that keeps
// nothing.
func recordsOf(bodies [][]byte) ([][]ledger.Op, error) {
	var batch []ledger.Op
	secret := token(rand.Text())
	h, err := intake.New(intake.Options{
		Token: secret, Store: ledger.NewMemory(), Accepted: func(intake.Notification) {}, Logger: log.NewNopLogger(), Registerer: prometheus.NewRegistry(),
		Commit: func(_ context.Context, b []ledger.Op) error { batch = b; return nil },
	})
	if err != nil {
		return nil, err
	}
	batches := make([][]ledger.Op, len(bodies))
	for i, body := range bodies {
		r := httptest.NewRequest(http.MethodPost, intake.DefaultPath, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted || len(batch) == 0 {
			return nil, fmt.Errorf("a notification was answered by %d %s", w.Code, w.Body)
		}
		batches[i], batch = batch, nil
	}
	return batches, h.Close(context.Background())
}

// bareBucket holds what bare bbolt is given.
const bareBucket = "bare"

// openBare opens a bbolt file as the ledger opens its own.
func openBare(path string) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, InitialMmapSize: 64 << 20})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte(bareBucket))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// writeBare writes one batch in a transaction of its own, synced.
func writeBare(db *bolt.DB, prefix string, batch []ledger.Op) error {
	return db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(bareBucket))
		for _, op := range batch {
			if err := bucket.Put([]byte(prefix+op.Key), op.Value); err != nil {
				return err
			}
		}
		return nil
	})
}
