package wsman

import (
	"context"
	"iter"
)

// What asks for the instances of an association by one of its ends: the dialect and its namespace (DSP0227, 8.2). WinRM
// takes it for WMI's resources since version 2.0, on the namespace's /* (MS-WSMV, Filter; learn.microsoft.com, "DMTF Profile
// Discovery Through Association Traversal").
const (
	dialectAssociation = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"
	nsBinding          = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
)

// References yields the instances of an association class that refer to one object by the property role, as WQL's
// REFERENCES OF does. Otherwise it is like Enumerate. A server that does not know the dialect answers with a fault, whose
// reason is namespace.
func (c *Client) References(ctx context.Context, namespace string, to Reference, class, role string) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		object, err := resourceURI(namespace, to.Class)
		if err != nil {
			yield(nil, err)
			return
		}
		filter := `<w:Filter Dialect="` + dialectAssociation + `"><b:AssociationInstances xmlns:b="` + nsBinding + `"><b:Object>` +
			`<a:Address>` + nsAddressing + `/role/anonymous</a:Address><a:ReferenceParameters><w:ResourceURI>` + escape(object) + `</w:ResourceURI>` +
			selectorSet(to.Selectors) + `</a:ReferenceParameters></b:Object><b:ResultClassName>` + escape(class) + `</b:ResultClassName>` +
			`<b:Role>` + escape(role) + `</b:Role></b:AssociationInstances></w:Filter>`
		c.enumerate(ctx, namespace, class, filter, yield)
	}
}
