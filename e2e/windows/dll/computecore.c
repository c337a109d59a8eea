/* computecore.dll for Wine: hands every call to the stand-in service. */
#include "forward.h"

typedef void *HANDLE64;
typedef struct {
	DWORD type;
	PCWSTR data;
	HANDLE64 operation;
} HCS_EVENT;
typedef void(CALLBACK *EVENT_CALLBACK)(HCS_EVENT *event, void *context);

#define EXPORT __declspec(dllexport) WINAPI

static const char *number(char *b, ULONG_PTR n)
{
	sprintf(b, "%llu", (unsigned long long)n);
	return b;
}

static ULONG_PTR handle_of(const char *text)
{
	return text ? (ULONG_PTR)strtoull(text, NULL, 10) : 0;
}

/* plain makes a call of which only the result counts. */
static HRESULT plain(const char *function, const char **args, int count)
{
	char *text;
	HRESULT hr = call(function, args, count, &text);
	free(text);
	return hr;
}

/* on_system makes a call (system, operation, document). */
static HRESULT on_system(const char *function, HANDLE64 system, HANDLE64 operation, PCWSTR document)
{
	char a[24], b[24], *doc = narrow(document);
	const char *args[] = {number(a, (ULONG_PTR)system), number(b, (ULONG_PTR)operation), doc};
	HRESULT hr = plain(function, args, 3);
	free(doc);
	return hr;
}

HANDLE64 EXPORT HcsCreateOperation(void *context, void *callback)
{
	char *text;
	HANDLE64 operation = NULL;
	(void)context;
	if (callback)
		return NULL; /* not offered here: Paddock waits */
	if (call("HcsCreateOperation", NULL, 0, &text) == S_OK)
		operation = (HANDLE64)handle_of(text);
	free(text);
	return operation;
}

void EXPORT HcsCloseOperation(HANDLE64 operation)
{
	char a[24];
	const char *args[] = {number(a, (ULONG_PTR)operation)};
	plain("HcsCloseOperation", args, 1);
}

HRESULT EXPORT HcsWaitForOperationResult(HANDLE64 operation, DWORD timeout, PWSTR *result)
{
	char a[24], b[24], *text;
	const char *args[] = {number(a, (ULONG_PTR)operation), number(b, timeout)};
	HRESULT hr = call("HcsWaitForOperationResult", args, 2, &text);
	if (result)
		*result = text && *text ? widen(text) : NULL;
	free(text);
	return hr;
}

HRESULT EXPORT HcsCancelOperation(HANDLE64 operation)
{
	char a[24];
	const char *args[] = {number(a, (ULONG_PTR)operation)};
	return plain("HcsCancelOperation", args, 1);
}

HRESULT EXPORT HcsCreateComputeSystem(PCWSTR id, PCWSTR configuration, HANDLE64 operation, const void *descriptor, HANDLE64 *system)
{
	char a[24], *name = narrow(id), *doc = narrow(configuration), *text;
	const char *args[] = {name, doc, number(a, (ULONG_PTR)operation)};
	HRESULT hr = descriptor ? E_INVALIDARG : call("HcsCreateComputeSystem", args, 3, &text);
	if (!descriptor) {
		*system = (HANDLE64)handle_of(text);
		free(text);
	}
	free(name);
	free(doc);
	return hr;
}

HRESULT EXPORT HcsOpenComputeSystem(PCWSTR id, DWORD access, HANDLE64 *system)
{
	char a[24], *name = narrow(id), *text;
	const char *args[] = {name, number(a, access)};
	HRESULT hr = call("HcsOpenComputeSystem", args, 2, &text);
	*system = hr == S_OK ? (HANDLE64)handle_of(text) : NULL;
	free(text);
	free(name);
	return hr;
}

void EXPORT HcsCloseComputeSystem(HANDLE64 system)
{
	char a[24];
	const char *args[] = {number(a, (ULONG_PTR)system)};
	plain("HcsCloseComputeSystem", args, 1);
}

HRESULT EXPORT HcsStartComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsStartComputeSystem", s, op, o); }
HRESULT EXPORT HcsShutDownComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsShutDownComputeSystem", s, op, o); }
HRESULT EXPORT HcsTerminateComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsTerminateComputeSystem", s, op, o); }
HRESULT EXPORT HcsPauseComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsPauseComputeSystem", s, op, o); }
HRESULT EXPORT HcsResumeComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsResumeComputeSystem", s, op, o); }
HRESULT EXPORT HcsSaveComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR o) { return on_system("HcsSaveComputeSystem", s, op, o); }
HRESULT EXPORT HcsGetComputeSystemProperties(HANDLE64 s, HANDLE64 op, PCWSTR q) { return on_system("HcsGetComputeSystemProperties", s, op, q); }

HRESULT EXPORT HcsModifyComputeSystem(HANDLE64 s, HANDLE64 op, PCWSTR document, HANDLE identity)
{
	return identity ? E_INVALIDARG : on_system("HcsModifyComputeSystem", s, op, document);
}

HRESULT EXPORT HcsEnumerateComputeSystems(PCWSTR query, HANDLE64 operation)
{
	char a[24], *doc = narrow(query);
	const char *args[] = {doc, number(a, (ULONG_PTR)operation)};
	HRESULT hr = plain("HcsEnumerateComputeSystems", args, 2);
	free(doc);
	return hr;
}

HRESULT EXPORT HcsGetServiceProperties(PCWSTR query, PWSTR *result)
{
	char *doc = narrow(query), *text;
	const char *args[] = {doc};
	HRESULT hr = call("HcsGetServiceProperties", args, 1, &text);
	*result = text && *text ? widen(text) : NULL;
	free(text);
	free(doc);
	return hr;
}

static HRESULT file_access(const char *function, PCWSTR id, PCWSTR path)
{
	char *name = narrow(id), *file = narrow(path);
	const char *args[] = {name, file};
	HRESULT hr = plain(function, args, 2);
	free(name);
	free(file);
	return hr;
}

HRESULT EXPORT HcsGrantVmAccess(PCWSTR id, PCWSTR path) { return file_access("HcsGrantVmAccess", id, path); }
HRESULT EXPORT HcsRevokeVmAccess(PCWSTR id, PCWSTR path) { return file_access("HcsRevokeVmAccess", id, path); }

typedef struct {
	SOCKET socket;
	EVENT_CALLBACK callback;
	void *context;
} LISTENER;

/* listen_events calls back for every event until the service closes the connection. */
static DWORD WINAPI listen_events(void *parameter)
{
	LISTENER *l = parameter;
	char *text;
	HRESULT type;
	while ((type = answer(l->socket, &text)) != RPC_UNAVAILABLE) {
		HCS_EVENT event = {(DWORD)type, NULL, NULL};
		PWSTR data = text && *text ? widen(text) : NULL;
		free(text);
		event.data = data;
		l->callback(&event, l->context);
		CoTaskMemFree(data);
	}
	closesocket(l->socket);
	free(l);
	return 0;
}

HRESULT EXPORT HcsSetComputeSystemCallback(HANDLE64 system, DWORD options, void *context, EVENT_CALLBACK callback)
{
	char a[24], b[24], *text;
	const char *args[] = {number(a, (ULONG_PTR)system), number(b, options)};
	HRESULT hr;
	LISTENER *l;
	SOCKET s;
	if (!callback)
		return E_INVALIDARG;
	s = reach();
	if (s == INVALID_SOCKET)
		return RPC_UNAVAILABLE;
	hr = ask(s, session_name, "HcsSetComputeSystemCallback", args, 2) ? answer(s, &text) : RPC_UNAVAILABLE;
	if (hr != S_OK) {
		closesocket(s);
		return hr;
	}
	free(text);
	l = malloc(sizeof *l);
	l->socket = s;
	l->callback = callback;
	l->context = context;
	CloseHandle(CreateThread(NULL, 0, listen_events, l, 0, NULL));
	return S_OK;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
	(void)instance, (void)reason, (void)reserved;
	return TRUE;
}
