package schema

// RequestType is what a ModifySettingRequest does; empty for settings that are just set.
type RequestType string

// Kinds of requests.
const (
	Add    RequestType = "Add"
	Remove RequestType = "Remove"
	Update RequestType = "Update"
)

// ModifySettingRequest changes a running system.
type ModifySettingRequest struct {
	ResourcePath string      `json:"ResourcePath"`
	RequestType  RequestType `json:"RequestType,omitempty"`
	Settings     any         `json:"Settings,omitempty"`
}

// PropertyQuery asks for properties beyond the basic ones.
type PropertyQuery struct {
	PropertyTypes []string `json:"PropertyTypes,omitempty"`
}

// SystemQuery asks which systems there are.
type SystemQuery struct {
	Owners []string `json:"Owners,omitempty"`
}

// PauseOptions are for HcsPauseComputeSystem.
type PauseOptions struct {
	SuspensionLevel string `json:"SuspensionLevel,omitempty"`
}

// SaveOptions are for HcsSaveComputeSystem.
type SaveOptions struct {
	SaveType          string `json:"SaveType"`
	SaveStateFilePath string `json:"SaveStateFilePath"`
}
