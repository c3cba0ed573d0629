package wsmanserver

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"
)

// enumeration is what remains to be pulled.
type enumeration struct {
	user      string
	namespace string // as the client wrote it
	columns   []string
	rows      []Instance
	expires   time.Time
}

// sessions counts the operations under way of each user, and keeps the enumerations, each of which is one of
// them until it ends [learn.microsoft.com, WSMAN_AUTHZ_QUOTA].
type sessions struct {
	limit   int
	timeout time.Duration

	mu    sync.Mutex
	busy  map[string]int
	enums map[string]*enumeration
}

// init prepares the maps.
func (s *sessions) init(limit int, timeout time.Duration) {
	s.limit, s.timeout = limit, timeout
	s.busy, s.enums = map[string]int{}, map[string]*enumeration{}
}

// enter begins an operation, unless the user's quota is used up.
func (s *sessions) enter(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	if s.busy[user] >= s.limit {
		return false
	}
	s.busy[user]++
	return true
}

// leave ends an operation.
func (s *sessions) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(user)
}

// end gives one operation back; the lock is held.
func (s *sessions) end(user string) {
	if s.busy[user]--; s.busy[user] == 0 {
		delete(s.busy, user)
	}
}

// keep files an enumeration under a new context. It takes the place of the operation that made it.
func (s *sessions) keep(e *enumeration) (context string) {
	id := newID()
	s.mu.Lock()
	defer s.mu.Unlock()
	e.expires = time.Now().Add(s.timeout)
	s.enums[id] = e
	return id
}

// take gives the enumeration of a context out, once. Its operation goes on: the caller keeps it again, or leaves.
func (s *sessions) take(user, context string) (*enumeration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	e, ok := s.enums[context]
	if !ok || e.user != user {
		return nil, false
	}
	delete(s.enums, context)
	return e, true
}

// sweep ends what nobody pulled in time; the lock is held. There is no timer: who asks finds it gone.
func (s *sessions) sweep() {
	now := time.Now()
	for id, e := range s.enums {
		if !now.Before(e.expires) {
			delete(s.enums, id)
			s.end(e.user)
		}
	}
}

// newID returns an identifier as Windows writes them.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return "uuid:" + strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}
