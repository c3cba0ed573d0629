package wsmanserver

import (
	"context"
	"strings"
)

// The dialect that asks for the instances of an association by one of its ends (DSP0227, 8.2; MS-WSMV, Filter).
const (
	dialectAssociation = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"
	nsBinding          = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
)

// Referrer is a Provider that finds for itself which instances of an association refer to an object. Of any other
// Provider the server takes all instances, and looks.
type Referrer interface {
	// References returns the instances of the class whose property role refers to the object.
	References(ctx context.Context, namespace, class, role string, to Reference) ([]Instance, error)
}

// referral is an association filter.
type referral struct {
	to          Reference
	class, role string
}

// parseReferral reads AssociationInstances with all that makes the question a narrow one. AssociatedInstances, which gives
// the objects at the other end, and a filter without class or role are not implemented.
func parseReferral(filter *element) (*referral, *Fault) {
	what := filter.child(nsBinding, "AssociationInstances")
	if what == nil || len(filter.children) != 1 {
		return nil, faultCannotProcessFilter()
	}
	var r referral
	var found bool
	for _, e := range what.children {
		switch {
		case e.is(nsBinding, "Object"):
			v, f := parseReference(e)
			if f != nil {
				return nil, f
			}
			r.to, found = v.(Reference)
		case e.is(nsBinding, "ResultClassName"):
			r.class = e.trimmed()
		case e.is(nsBinding, "Role"):
			r.role = e.trimmed()
		default:
			return nil, faultCannotProcessFilter()
		}
	}
	if !found || r.class == "" || r.role == "" {
		return nil, faultCannotProcessFilter()
	}
	return &r, nil
}

// text is the question as WMI knows it.
func (r referral) text() string {
	keys := make([]string, len(r.to.Keys))
	for i, k := range r.to.Keys {
		keys[i] = k.Name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(k.Value) + `"`
	}
	return "REFERENCES OF {" + r.to.Class + "." + strings.Join(keys, ",") + "} WHERE ResultClass = " + r.class + " Role = " + r.role
}

// references returns the instances that refer to the object.
func (s *Server) references(ctx context.Context, namespace string, r *referral, text string) ([]Instance, error) {
	if p, ok := s.opts.Provider.(Referrer); ok {
		rows, err := p.References(ctx, namespace, r.class, r.role, r.to)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, s.failed(err, text)
		}
		return rows, nil
	}
	all, err := s.instances(ctx, namespace, r.class, text)
	if err != nil {
		return nil, err
	}
	var rows []Instance
	for _, i := range all {
		v, _ := i.Property(r.role)
		if ref, ok := v.(Reference); ok && ref.is(r.to) {
			rows = append(rows, i)
		}
	}
	return rows, nil
}

// is reports whether both refer to the same object; WMI compares names and keys without regard to case.
func (r Reference) is(other Reference) bool {
	if !strings.EqualFold(r.Class, other.Class) || len(r.Keys) != len(other.Keys) {
		return false
	}
	for _, k := range r.Keys {
		if v, ok := other.Keys.Value(k.Name); !ok || !strings.EqualFold(v, k.Value) {
			return false
		}
	}
	return true
}
