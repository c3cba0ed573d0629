package incident

import (
	"cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// relieved reports whether a round shows a virtual machine that is not starved any more, and if not, why. The fault is
// pressure that SQL Server suffers from: without either it is over. After a move of ours both must be gone, for the one
// would bring the other back.
func (i *Incident) relieved(r evidence.Round) (string, bool) {
	p, s := guard.PressureOf(r), guard.SufferingOf(r)
	calm, well := p.Unread == "" && !p.Any(), s.Unread == "" && s.How == ""
	if calm && well || !i.begun() && (calm || well) {
		return "", true
	}
	return cmp.Or(p.Unread, p.Host, p.Guest, s.Unread, s.How), false
}
