package receiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/intake"
)

// webhookGrace is how long notifications under way may take to be written when the receiver stops.
const webhookGrace = 5 * time.Second

// newIntake makes the webhook's handler.
func (r *Receiver) newIntake(cfg *config.Config) (*intake.Handler, error) {
	o := intake.Options{
		RequireClientCert: cfg.Receiver.Webhook.TLS != nil && cfg.Receiver.Webhook.TLS.ClientCAFile != "",
		Commit:            r.committer.Commit, Store: r.store, Accepted: r.accepted,
		Logger: log.With(r.options.Logger, "component", "webhook"), Registerer: r.options.Registry,
	}
	if w := cfg.Receiver.Webhook; w.TokenFile != "" || w.TokenEnv != "" {
		o.Token = &webhookToken{r}
	}
	return intake.New(o)
}

// webhookToken reads the token anew at each request: a token that was changed in its file counts at once.
type webhookToken struct{ receiver *Receiver }

// Reveal returns the token; empty, which lets nobody in, where it cannot be read.
func (t *webhookToken) Reveal() string {
	s, err := t.receiver.configuration().Receiver.Webhook.Token()
	if err != nil {
		level.Error(t.receiver.options.Logger).Log("msg", "token of the webhook not read; nobody is let in", "err", err)
		return ""
	}
	return s.Reveal()
}

// accepted hands a notification to the driver. What Alertmanager kept back is asked for (G4).
func (r *Receiver) accepted(n intake.Notification) {
	if n.Repeat {
		r.driver.hint(notified(n)) // it must not wait: Alertmanager repeats for as long as the ledger is sick
	} else {
		r.driver.send(notified(n))
	}
	if n.TruncatedAlerts > 0 {
		select {
		case r.truncated <- struct{}{}:
		default: // it is to be asked already
		}
	}
}

// notified makes an event of a notification. Its moment is now, when Step learns of it: the time of its acceptance
// is in the ledger, and Step's time only goes forward.
func notified(n intake.Notification) incident.Notified {
	e := incident.Notified{At: incident.At(time.Now()), Record: n.Record}
	for _, a := range n.Alerts {
		e.Alerts = append(e.Alerts, incident.NotifiedAlert{
			Firing: a.Status == intake.Firing, Labels: a.Labels, StartsAt: a.StartsAt, Fingerprint: a.Fingerprint,
		})
	}
	return e
}

// ServeWebhook serves Alertmanager on address until ctx ends, and then lets what has arrived be written.
func (r *Receiver) ServeWebhook(ctx context.Context, address string) error {
	o := intake.ServerOptions{Handler: r.intake, Logger: log.With(r.options.Logger, "component", "webhook")}
	if t := r.configuration().Receiver.Webhook.TLS; t != nil {
		o.CertFile, o.KeyFile, o.ClientCAFile = t.CertFile, t.KeyFile, t.ClientCAFile
	}
	server, err := intake.NewServer(o)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("webhook listener: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), webhookGrace)
	defer cancel()
	err = server.Shutdown(grace)
	return errors.Join(err, <-served, r.intake.Close(grace))
}
