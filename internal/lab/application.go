package lab

import (
	"errors"
	"fmt"
	stdlog "log"
	"net/http"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wire"
)

// application is what its endpoint is called after the virtual machine's name.
const application = "/application"

// web serves an application beside SQL Server in a guest: HTTPS that answers 200 as long as the guest's network carries
// anything.
func (l *Lab) web(vm string) error {
	port, err := wire.Listen(loopback)
	if err != nil {
		return err
	}
	certificate, err := l.ca.Issue(vm)
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") }),
		TLSConfig:         certificate,
		ReadHeaderTimeout: 5 * time.Second,
		// A client that hangs up is part of the experiment, and nothing for the demo's terminal.
		ErrorLog: stdlog.New(log.NewStdlibAdapter(level.Debug(l.options.Logger)), "", 0),
	}
	l.add(&endpoint{
		name: vm + application, port: port, close: func() { s.Close() },
		behave: func(m *model.Model) wire.Behaviour { return guestBehaviour(m, m.VM(vm)) },
	})
	l.work.Go(func() {
		if err := s.ServeTLS(port, "", ""); !errors.Is(err, http.ErrServerClosed) {
			level.Error(l.options.Logger).Log("msg", "server ended", "server", vm+application, "err", err)
		}
	})
	return nil
}

// applicationVM is the virtual machine that has one: the last that has SQL Server.
func (l *Lab) applicationVM() string {
	name := ""
	for _, v := range l.options.Spec.VMs {
		if len(v.Instances) > 0 {
			name = v.Name
		}
	}
	return name
}
