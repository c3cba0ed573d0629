package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The patience of the stage with its programs.
const (
	readyEvery = 100 * time.Millisecond
	stopGrace  = 5 * time.Second
	sayEvery   = 2 * time.Second // nothing takes longer than this without a word
)

// Process is one program of the stage. It is stopped by its own process, never by its name.
type Process struct {
	Name string
	Log  string // path of what it printed

	meant atomic.Bool // its end is

	cmd  *exec.Cmd
	done chan struct{}
	err  error

	stopping sync.Once
}

// StartProcess starts a program whose output goes to dir/name.log. Where the system can do it, the program does not
// outlive ours, however ours ends.
func StartProcess(dir, name, path string, env []string, args ...string) (*Process, error) {
	logPath := filepath.Join(dir, name+".log")
	file, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), env...)
	dieTogether(cmd)
	p := &Process{Name: name, Log: logPath, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		defer file.Close()
		// Linux ends the child when the thread that made it ends, not when the process does (prctl(2),
		// PR_SET_PDEATHSIG): this goroutine keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the program as a power cut would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Stop asks the program to end, insists after a while, and returns when it has.
func (p *Process) Stop() {
	p.stopping.Do(func() {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			p.Kill() // it has ended, or this system knows no such signal
			return
		}
		select {
		case <-p.done:
		case <-time.After(stopGrace):
			p.Kill()
		}
	})
}

// WaitReady returns once url answers 200. It says what it waits for when that takes long, and why it failed with the
// end of the program's log.
func (p *Process) WaitReady(ctx context.Context, out io.Writer, url string) error {
	said := time.Now()
	last := "no answer yet"
	for {
		code, body, err := ask(ctx, url)
		switch {
		case err == nil && code == http.StatusOK:
			return nil
		case err != nil:
			last = err.Error()
		default:
			last = strings.Join(strings.Fields(body), " ")
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			fmt.Fprintf(out, "  waiting for %s: %.160s\n", p.Name, last)
		}
		select {
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s: %w\n%s", p.Name, last, context.Cause(ctx), p.tail())
		case <-time.After(readyEvery):
		}
	}
}

// ended is the error of a program that ended when it should not have; it must have.
func (p *Process) ended() error {
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended by itself: %w\n%s", p.Name, err, p.tail())
}

// tail is the end of the program's log.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return p.Log + ":\n" + string(b)
}

func ask(ctx context.Context, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, string(b), err
}
