"""IAM with unmodified boto3: users, groups, roles, policies, providers and reports. Run by identity-python.test.ts."""

import csv
import io
import json
import time

from checks import as_user, check, client, policy, refused, report, trust

ALLOW_LIST = policy({"Action": "kms:ListKeys"})
EC2 = {"Service": "ec2.amazonaws.com"}


def users(iam):
    made = iam.create_user(UserName="Ann", Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]
    check(made["Arn"].endswith(":user/team/Ann"), True)
    check(made["Tags"], [{"Key": "a", "Value": "1"}])
    refused("EntityAlreadyExists", iam.create_user, UserName="ann")
    refused("NoSuchEntity", iam.get_user, UserName="nobody")
    refused("ValidationError", iam.create_user, UserName="no spaces")
    iam.tag_user(UserName="Ann", Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_user(UserName="Ann", TagKeys=["a"])
    check(iam.list_user_tags(UserName="Ann")["Tags"], [{"Key": "b", "Value": "2"}])
    check([u["UserName"] for u in iam.list_users(PathPrefix="/team/")["Users"]], ["Ann"])
    iam.update_user(UserName="Ann", NewUserName="Anna", NewPath="/")
    check(iam.get_user(UserName="Anna")["User"]["UserId"], made["UserId"])
    iam.put_user_policy(UserName="Anna", PolicyName="inline", PolicyDocument=ALLOW_LIST)
    check(iam.get_user_policy(UserName="Anna", PolicyName="inline")["PolicyDocument"], json.loads(ALLOW_LIST))
    check(iam.list_user_policies(UserName="Anna")["PolicyNames"], ["inline"])
    refused("DeleteConflict", iam.delete_user, UserName="Anna")
    refused("MalformedPolicyDocument", iam.put_user_policy, UserName="Anna", PolicyName="x", PolicyDocument="{}")
    refused("LimitExceeded", iam.put_user_policy, UserName="Anna", PolicyName="x", PolicyDocument=policy(*[{"Action": f"kms:{i}" + "a" * 40} for i in range(60)]))
    iam.delete_user_policy(UserName="Anna", PolicyName="inline")
    key = iam.create_access_key(UserName="Anna")["AccessKey"]
    check(iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"], "N/A")
    check(as_user("sts", key).get_caller_identity()["UserId"], made["UserId"])
    check(iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"], "sts")
    iam.create_access_key(UserName="Anna")
    refused("LimitExceeded", iam.create_access_key, UserName="Anna")
    iam.update_access_key(UserName="Anna", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("InvalidClientTokenId", as_user("sts", key).get_caller_identity)
    for one in iam.list_access_keys(UserName="Anna")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="Anna", AccessKeyId=one["AccessKeyId"])
    iam.delete_user(UserName="Anna")


def groups(iam):
    group = iam.create_group(GroupName="Devs", Path="/g/")["Group"]
    check(group["Arn"].endswith(":group/g/Devs") and group["GroupId"].startswith("AGPA"), True)
    refused("EntityAlreadyExists", iam.create_group, GroupName="devs")
    iam.create_user(UserName="member")
    key = iam.create_access_key(UserName="member")["AccessKey"]
    kms = as_user("kms", key)
    refused("AccessDeniedException", kms.list_keys)
    iam.add_user_to_group(GroupName="Devs", UserName="member")
    iam.put_group_policy(GroupName="Devs", PolicyName="inline", PolicyDocument=ALLOW_LIST)
    kms.list_keys()
    check(iam.list_group_policies(GroupName="Devs")["PolicyNames"], ["inline"])
    check(iam.get_group_policy(GroupName="Devs", PolicyName="inline")["PolicyDocument"], json.loads(ALLOW_LIST))
    iam.delete_group_policy(GroupName="Devs", PolicyName="inline")
    refused("AccessDeniedException", kms.list_keys)
    arn = iam.create_policy(PolicyName="grouped", PolicyDocument=ALLOW_LIST)["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="Devs", PolicyArn=arn)
    kms.list_keys()
    check([p["PolicyArn"] for p in iam.list_attached_group_policies(GroupName="Devs")["AttachedPolicies"]], [arn])
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    check([g["GroupName"] for g in entities["PolicyGroups"]], ["Devs"])
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.detach_group_policy(GroupName="Devs", PolicyArn=arn)
    refused("NoSuchEntity", iam.detach_group_policy, GroupName="Devs", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    check([u["UserName"] for u in iam.get_group(GroupName="Devs")["Users"]], ["member"])
    iam.update_group(GroupName="Devs", NewGroupName="Developers")
    check([g["GroupName"] for g in iam.list_groups_for_user(UserName="member")["Groups"]], ["Developers"])
    check("Developers" in [g["GroupName"] for g in iam.list_groups()["Groups"]], True)
    refused("DeleteConflict", iam.delete_group, GroupName="Developers")
    iam.delete_access_key(UserName="member", AccessKeyId=key["AccessKeyId"])
    refused("DeleteConflict", iam.delete_user, UserName="member")
    iam.remove_user_from_group(GroupName="Developers", UserName="member")
    iam.delete_group(GroupName="Developers")
    iam.delete_user(UserName="member")


def roles(iam, account):
    role = iam.create_role(RoleName="Robot", AssumeRolePolicyDocument=trust({"AWS": account}), Description="d", MaxSessionDuration=7200, Tags=[{"Key": "t", "Value": "1"}])["Role"]
    check((role["Arn"], role["MaxSessionDuration"]), (f"arn:aws:iam::{account}:role/Robot", 7200))
    check(role["RoleId"].startswith("AROA"), True)
    check(role["AssumeRolePolicyDocument"], json.loads(trust({"AWS": f"arn:aws:iam::{account}:root"})))
    refused("EntityAlreadyExists", iam.create_role, RoleName="robot", AssumeRolePolicyDocument=trust({"AWS": account}))
    refused("MalformedPolicyDocument", iam.create_role, RoleName="x", AssumeRolePolicyDocument="{}")
    message = refused("MalformedPolicyDocument", iam.create_role, RoleName="x", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{account}:user/nobody"}))
    check("Invalid principal in policy" in message, True)
    refused("ValidationError", iam.create_role, RoleName="x", AssumeRolePolicyDocument=trust({"AWS": account}), MaxSessionDuration=60)
    iam.update_role(RoleName="Robot", Description="e", MaxSessionDuration=3600)
    iam.update_role_description(RoleName="Robot", Description="f")
    check(iam.get_role(RoleName="Robot")["Role"]["Description"], "f")
    iam.update_assume_role_policy(RoleName="Robot", PolicyDocument=trust(EC2))
    iam.tag_role(RoleName="Robot", Tags=[{"Key": "u", "Value": "2"}])
    iam.untag_role(RoleName="Robot", TagKeys=["t"])
    check(iam.list_role_tags(RoleName="Robot")["Tags"], [{"Key": "u", "Value": "2"}])
    iam.put_role_policy(RoleName="Robot", PolicyName="inline", PolicyDocument=ALLOW_LIST)
    check(iam.get_role_policy(RoleName="Robot", PolicyName="inline")["PolicyDocument"], json.loads(ALLOW_LIST))
    check(iam.list_role_policies(RoleName="Robot")["PolicyNames"], ["inline"])
    readonly = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    iam.attach_role_policy(RoleName="Robot", PolicyArn=readonly)
    check([p["PolicyName"] for p in iam.list_attached_role_policies(RoleName="Robot")["AttachedPolicies"]], ["ReadOnlyAccess"])
    iam.put_role_permissions_boundary(RoleName="Robot", PermissionsBoundary=readonly)
    check(iam.get_role(RoleName="Robot")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"], readonly)
    iam.delete_role_permissions_boundary(RoleName="Robot")
    profile = iam.create_instance_profile(InstanceProfileName="Profile", Tags=[{"Key": "p", "Value": "1"}])["InstanceProfile"]
    check(profile["InstanceProfileId"].startswith("AIPA"), True)
    iam.add_role_to_instance_profile(InstanceProfileName="Profile", RoleName="Robot")
    refused("LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName="Profile", RoleName="Robot")
    check(iam.get_instance_profile(InstanceProfileName="Profile")["InstanceProfile"]["Roles"][0]["RoleName"], "Robot")
    check(len(iam.list_instance_profiles_for_role(RoleName="Robot")["InstanceProfiles"]), 1)
    check(len(iam.list_instance_profiles()["InstanceProfiles"]), 1)
    iam.tag_instance_profile(InstanceProfileName="Profile", Tags=[{"Key": "q", "Value": "2"}])
    iam.untag_instance_profile(InstanceProfileName="Profile", TagKeys=["p"])
    check(iam.list_instance_profile_tags(InstanceProfileName="Profile")["Tags"], [{"Key": "q", "Value": "2"}])
    refused("DeleteConflict", iam.delete_role, RoleName="Robot")
    refused("DeleteConflict", iam.delete_instance_profile, InstanceProfileName="Profile")
    iam.remove_role_from_instance_profile(InstanceProfileName="Profile", RoleName="Robot")
    iam.delete_instance_profile(InstanceProfileName="Profile")
    iam.delete_role_policy(RoleName="Robot", PolicyName="inline")
    iam.detach_role_policy(RoleName="Robot", PolicyArn=readonly)
    check("Robot" in [r["RoleName"] for r in iam.list_roles()["Roles"]], True)
    iam.delete_role(RoleName="Robot")
    refused("NoSuchEntity", iam.get_role, RoleName="Robot")


def managed_policies(iam, account):
    made = iam.create_policy(PolicyName="Managed", PolicyDocument=ALLOW_LIST, Description="d", Tags=[{"Key": "a", "Value": "1"}])["Policy"]
    arn = made["Arn"]
    check((arn, made["DefaultVersionId"]), (f"arn:aws:iam::{account}:policy/Managed", "v1"))
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_LIST)
    refused("LimitExceeded", iam.create_policy_version, PolicyArn=arn, PolicyDocument=ALLOW_LIST)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v5")
    refused("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v5")
    check(iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"], "v5")
    check(iam.get_policy_version(PolicyArn=arn, VersionId="v5")["PolicyVersion"]["Document"], json.loads(ALLOW_LIST))
    check(len(iam.list_policy_versions(PolicyArn=arn)["Versions"]), 5)
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    check(iam.list_policy_tags(PolicyArn=arn)["Tags"], [{"Key": "b", "Value": "2"}])
    iam.create_user(UserName="bound")
    iam.put_user_permissions_boundary(UserName="bound", PermissionsBoundary=arn)
    iam.attach_user_policy(UserName="bound", PolicyArn=arn)
    check([p["PolicyName"] for p in iam.list_attached_user_policies(UserName="bound")["AttachedPolicies"]], ["Managed"])
    check([u["UserName"] for u in iam.list_entities_for_policy(PolicyArn=arn, PolicyUsageFilter="PermissionsBoundary")["PolicyUsers"]], ["bound"])
    iam.detach_user_policy(UserName="bound", PolicyArn=arn)
    iam.delete_user_permissions_boundary(UserName="bound")
    iam.delete_user(UserName="bound")
    for version in ["v1", "v2", "v3", "v4"]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    local = [p["PolicyName"] for page in iam.get_paginator("list_policies").paginate(Scope="Local") for p in page["Policies"]]
    check(local, ["Managed"])
    iam.delete_policy(PolicyArn=arn)


def providers_and_aliases(iam, account):
    arn = iam.create_open_id_connect_provider(Url="https://idp.example.com/a", ClientIDList=["one"], ThumbprintList=["a" * 40])["OpenIDConnectProviderArn"]
    check(arn, f"arn:aws:iam::{account}:oidc-provider/idp.example.com/a")
    refused("EntityAlreadyExists", iam.create_open_id_connect_provider, Url="https://idp.example.com/a", ThumbprintList=["a" * 40])
    refused("InvalidInput", iam.create_open_id_connect_provider, Url="http://idp.example.com", ThumbprintList=["a" * 40])
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="two")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="one")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    check((got["Url"], got["ClientIDList"], got["ThumbprintList"]), ("idp.example.com/a", ["two"], ["b" * 40]))
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    check(iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"], [{"Key": "a", "Value": "1"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["a"])
    check([p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]], [arn])
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    iam.create_account_alias(AccountAlias="boto-alias")
    check(iam.list_account_aliases()["AccountAliases"], ["boto-alias"])
    iam.delete_account_alias(AccountAlias="boto-alias")
    check(iam.list_account_aliases()["AccountAliases"], [])


def nothing_there(iam, account):
    iam.create_user(UserName="plain")
    check(iam.list_mfa_devices(UserName="plain")["MFADevices"], [])
    check(iam.list_ssh_public_keys(UserName="plain")["SSHPublicKeys"], [])
    check(iam.list_signing_certificates(UserName="plain")["Certificates"], [])
    check(iam.list_service_specific_credentials(UserName="plain")["ServiceSpecificCredentials"], [])
    check(iam.list_virtual_mfa_devices()["VirtualMFADevices"], [])
    check(iam.list_saml_providers()["SAMLProviderList"], [])
    check(iam.list_server_certificates()["ServerCertificateMetadataList"], [])
    message = refused("NoSuchEntity", iam.get_login_profile, UserName="plain")
    check("Login Profile for User plain cannot be found." in message, True)
    message = refused("NoSuchEntity", iam.get_account_password_policy)
    check(f"The Password Policy with domain name {account} cannot be found." in message, True)
    refused("NoSuchEntity", iam.list_mfa_devices, UserName="nobody")
    iam.delete_user(UserName="plain")


def reports(iam, account):
    iam.create_user(UserName="reported")
    iam.create_group(GroupName="Reported")
    iam.add_user_to_group(GroupName="Reported", UserName="reported")
    iam.create_role(RoleName="Reported", AssumeRolePolicyDocument=trust(EC2))
    summary = iam.get_account_summary()["SummaryMap"]
    check((summary["Users"], summary["Groups"], summary["Roles"]), (1, 1, 1))
    details = iam.get_account_authorization_details(Filter=["User", "Group", "Role"])
    check([u["GroupList"] for u in details["UserDetailList"] if u["UserName"] == "reported"], [["Reported"]])
    check([r["RoleName"] for r in details["RoleDetailList"]], ["Reported"])
    refused("ReportNotPresent", iam.get_credential_report)
    for _ in range(100):
        if iam.generate_credential_report()["State"] == "COMPLETE":
            break
        time.sleep(0.1)
    lines = list(csv.DictReader(io.StringIO(iam.get_credential_report()["Content"].decode())))
    check(sorted(line["user"] for line in lines), ["<root_account>", "reported"])
    simulated = iam.simulate_custom_policy(PolicyInputList=[ALLOW_LIST], ActionNames=["kms:ListKeys", "kms:Encrypt"])
    check([r["EvalDecision"] for r in simulated["EvaluationResults"]], ["allowed", "implicitDeny"])
    iam.put_user_policy(UserName="reported", PolicyName="p", PolicyDocument=policy({"Action": "kms:*"}, {"Effect": "Deny", "Action": "kms:Encrypt", "Condition": {"StringEquals": {"aws:username": "reported"}}}))
    simulated = iam.simulate_principal_policy(PolicySourceArn=f"arn:aws:iam::{account}:user/reported", ActionNames=["kms:ListKeys", "kms:Encrypt", "s3:GetObject"])
    check([r["EvalDecision"] for r in simulated["EvaluationResults"]], ["allowed", "explicitDeny", "implicitDeny"])
    check(iam.get_context_keys_for_custom_policy(PolicyInputList=[policy({"Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}})])["ContextKeyNames"], ["aws:SecureTransport"])
    check(iam.get_context_keys_for_principal_policy(PolicySourceArn=f"arn:aws:iam::{account}:user/reported")["ContextKeyNames"], ["aws:username"])


def main():
    iam = client("iam")
    account = client("sts").get_caller_identity()["Account"]
    users(iam)
    groups(iam)
    roles(iam, account)
    managed_policies(iam, account)
    providers_and_aliases(iam, account)
    nothing_there(iam, account)
    reports(iam, account)
    report()


main()
